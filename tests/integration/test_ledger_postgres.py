"""The ledger on a real PostgreSQL: the shared contract, and what only PostgreSQL does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from config.errors import LedgerUnavailable
from ml.ledger import Ledger
from ml.ledger.engine import reading, writing
from ml.ledger.records import EntriesRefused
from tests.ledger_contract import LedgerContract
from tests.ledger_entries import SCHEMA, entry, label
from tests.ledger_migrations import MigrationContract
from tests.servers import RunningPostgres, running_postgres

TABLES = (
    "decisions, decision_entities, labels, schemas, drift_reports, shadow_scores, model_events, audit_blocks, api_keys"
)


@pytest.fixture(scope="module")
def url(postgres: RunningPostgres) -> Iterator[str]:
    """A migrated database that this module's tests share; each finds it empty."""
    postgres.execute("CREATE DATABASE ledger_contract")
    address = postgres.url("ledger_contract")
    ledger = Ledger(address)
    ledger.migrate()
    ledger.close()
    yield address
    postgres.execute("DROP DATABASE ledger_contract WITH (FORCE)")


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    ledger = Ledger(url, schema=SCHEMA)
    with writing(ledger._engine) as connection:
        connection.execute(text(f"TRUNCATE {TABLES}"))
    yield ledger
    ledger.close()


@pytest.fixture
def empty_url(postgres_database: str) -> str:
    return postgres_database


class TestLedgerOnPostgres(LedgerContract):
    def test_text_that_postgres_cannot_hold_is_refused_alone(self, ledger: Ledger) -> None:
        with pytest.raises(EntriesRefused, match="cannot hold 1 entries"):
            ledger.store([entry(1), entry(2, transaction_id="nul \x00 byte"), entry(3)])
        assert ledger.count_decisions() == 2
        with pytest.raises(EntriesRefused, match="label 'l-1'"):
            ledger.store_labels([label(1, reason_code="nul \x00 byte"), label(2)])
        assert ledger.labels_of("d-2")

    def test_a_statement_that_takes_too_long_is_cut_off(self, ledger: Ledger) -> None:
        def sleep_for_longer_than_allowed() -> None:
            with reading(ledger._engine) as connection:
                connection.execute(text("SET LOCAL statement_timeout = 20"))
                connection.execute(text("SELECT pg_sleep(5)"))

        with pytest.raises(LedgerUnavailable, match="statement timeout"):
            sleep_for_longer_than_allowed()
        assert ledger.count_decisions() == 0

    def test_every_connection_starts_with_a_statement_timeout(self, ledger: Ledger) -> None:
        with reading(ledger._engine) as connection:
            assert connection.execute(text("SHOW statement_timeout")).scalar() == "5s"


class TestMigratingPostgres(MigrationContract):
    pass


def test_a_dumped_ledger_is_whole_elsewhere(
    postgres: RunningPostgres, ledger: Ledger, url: str, empty_url: str, tmp_path: Path
) -> None:
    """What docs/how-to/backup.md does: pg_dump, pg_restore."""
    ledger.store([entry(number) for number in range(5)])
    ledger.store_labels([label(1)])

    postgres.run_program("pg_dump", "--format=custom", f"--file={tmp_path / 'ledger.dump'}", libpq(url))
    postgres.run_program("pg_restore", f"--dbname={libpq(empty_url)}", str(tmp_path / "ledger.dump"))

    restored = Ledger(empty_url, schema=SCHEMA)
    assert restored.decision_by_transaction("t-3") == ledger.decision_by_transaction("t-3")
    assert restored.labels_of("d-1") == ledger.labels_of("d-1") != []
    restored.migrate()
    restored.store([entry(number) for number in range(6)])
    assert restored.count_decisions() == 6
    restored.close()


def libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def test_a_ledger_without_tables_says_so(postgres_database: str) -> None:
    ledger = Ledger(postgres_database)
    with pytest.raises(LedgerUnavailable, match=r'relation "decisions" does not exist .*migrations'):
        ledger.count_decisions()
    ledger.close()


def test_a_ledger_outlives_a_restart_of_its_database() -> None:
    with running_postgres() as server:
        ledger = Ledger(server.url())
        ledger.migrate()
        ledger.store([entry(1)])
        server.stop()
        with pytest.raises(LedgerUnavailable):
            ledger.store([entry(2)])
        server.start()
        assert ledger.store([entry(1), entry(2)]) == 1
        ledger.close()


def test_a_database_that_accepts_and_never_answers_is_given_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ledger = Ledger(f"postgresql://tollgate@127.0.0.1:{silent.getsockname()[1]}/tollgate")
        with pytest.raises(LedgerUnavailable, match="timeout"):
            ledger.count_decisions()
        ledger.close()
