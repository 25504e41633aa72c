"""The ledger on a real PostgreSQL: the shared contract, and what only PostgreSQL does."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from config.errors import LedgerUnavailable
from ml.ledger import Ledger, timed_connection
from ml.ledger.engine import however_long, reading, writing
from ml.ledger.records import EntriesRefused
from ml.ledger.timed_connection import TimedConnection
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


@pytest.fixture(scope="module")
def freezable() -> Iterator[tuple[RunningPostgres, Ledger]]:
    """A server that these tests may stop with SIGSTOP, and a ledger with a connection to it."""
    with running_postgres() as server:
        ledger = Ledger(server.url(), schema=SCHEMA)
        ledger.migrate()
        yield server, ledger
        ledger.close()


@contextmanager
def frozen(server: RunningPostgres) -> Iterator[None]:
    """The server's processes stand still: connections stay open, nothing is answered. They go on at the end."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    stopped = [server.pid, *map(int, children)]
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def outcome_of_reading(ledger: Ledger, statement: str) -> list[str]:
    """What a thread that reads is told, "answered" or why not; empty when it waits for half a minute: "it hangs"."""
    told = []

    def read() -> None:
        try:
            with reading(ledger._engine) as connection:
                connection.execute(text(statement))
                told.append("answered")
        except LedgerUnavailable as error:
            told.append(error.detail)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(30)
    return told


def test_a_database_that_freezes_is_an_error_not_a_hang(freezable: tuple[RunningPostgres, Ledger]) -> None:
    server, ledger = freezable
    ledger.store([entry(1)])

    with frozen(server):
        told = outcome_of_reading(ledger, "SELECT 1")

    assert told not in ([], ["answered"])
    assert ledger.store([entry(1), entry(2)]) == 1


def test_a_statement_that_a_database_freezes_in_is_given_up_after_twice_the_time_that_it_may_take(
    freezable: tuple[RunningPostgres, Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ledger = freezable
    monkeypatch.setattr(timed_connection, "SILENCE_S", 0.3)

    # As a server that is frozen looks from here: nothing comes.
    assert outcome_of_reading(ledger, "SELECT pg_sleep(4)") == [f"{ledger._engine.url}: nothing was heard for 0.3 s"]
    assert outcome_of_reading(ledger, "SELECT 1") == ["answered"]


def test_statements_may_take_as_long_as_the_url_lets_them(
    freezable: tuple[RunningPostgres, Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = freezable
    monkeypatch.setattr(timed_connection, "SILENCE_S", 0.2)
    patient = Ledger(f"{server.url()}&options=-c%20statement_timeout%3D1min")

    with reading(patient._engine) as connection:
        assert connection.execute(text("SELECT pg_sleep(0.6)::text")).scalar() == ""
        assert driver_of(connection).silence_s == 120.0
    patient.close()


def test_a_migration_may_take_as_long_as_it_takes_and_what_comes_after_it_may_not(
    freezable: tuple[RunningPostgres, Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ledger = freezable
    monkeypatch.setattr(timed_connection, "SILENCE_S", 0.2)

    with writing(ledger._engine) as connection:
        with however_long(connection):
            connection.execute(text("SELECT pg_sleep(0.6)"))
        assert driver_of(connection).limit_s == 0.2


def driver_of(connection: Connection) -> TimedConnection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, TimedConnection)
    return driver
