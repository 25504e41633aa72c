"""What every database must do when the ledger is migrated: one set of tests, run on SQLite and on PostgreSQL."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from ml.ledger import Ledger
from ml.ledger.engine import open_engine
from ml.ledger.tables import metadata
from tests.ledger_entries import entry

BY_EXPRESSION = "ix_decisions_block_digest"
"""SQLAlchemy cannot read back what SQLite's index is of; tests/ledger_contract.py shows that it is used."""


def _can_be_compared(_object: Any, name: str | None, *_: Any) -> bool:
    return name != BY_EXPRESSION


def _migrate(database_url: str) -> None:
    ledger = Ledger(database_url)
    ledger.migrate()
    ledger.close()


def _store_same_entries(database_url: str, new: Any) -> None:
    ledger = Ledger(database_url)
    for start in range(0, 200, 20):
        stored = ledger.store([entry(number) for number in range(start, start + 20)])
        with new.get_lock():
            new.value += stored
    ledger.close()


def run_at_once(target: Callable[..., None], *arguments: Any, processes: int = 3) -> list[int | None]:
    """Run `target` in that many new processes at the same time; their exit codes."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=target, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return [worker.exitcode for worker in workers]


class MigrationContract:
    """Tests of an empty database; a subclass provides the fixture `empty_url`."""

    def test_migrated_tables_are_those_of_the_metadata(self, empty_url: str) -> None:
        _migrate(empty_url)
        engine = open_engine(empty_url)
        with engine.connect() as connection:
            opts = {"compare_type": True, "include_object": _can_be_compared}
            context = MigrationContext.configure(connection, opts=opts)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", f".*expression-based index '?{BY_EXPRESSION}")
                assert compare_metadata(context, metadata) == []
        engine.dispose()

    def test_migrating_again_keeps_what_is_stored(self, empty_url: str) -> None:
        ledger = Ledger(empty_url)
        ledger.migrate()
        ledger.store([entry()])
        ledger.migrate()
        assert ledger.count_decisions() == 1
        ledger.close()

    def test_an_earlier_release_works_with_the_tables_of_a_later_one(self, empty_url: str) -> None:
        ledger = Ledger(empty_url)
        ledger.migrate()
        engine = open_engine(empty_url)
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE decisions ADD COLUMN of_a_later_release INTEGER"))
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        engine.dispose()

        ledger.migrate()
        ledger.store([entry()])

        assert ledger.count_decisions() == 1
        ledger.close()

    def test_three_processes_may_migrate_at_once(self, empty_url: str) -> None:
        assert run_at_once(_migrate, empty_url) == [0, 0, 0]
        ledger = Ledger(empty_url)
        assert ledger.count_decisions() == 0
        ledger.close()

    def test_each_transaction_is_new_in_exactly_one_of_three_processes(self, empty_url: str) -> None:
        _migrate(empty_url)
        new = multiprocessing.get_context("spawn").Value("i", 0)
        assert run_at_once(_store_same_entries, empty_url, new) == [0, 0, 0]
        ledger = Ledger(empty_url)
        assert (new.value, ledger.count_decisions()) == (200, 200)
        ledger.close()
