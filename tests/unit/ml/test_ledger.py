"""The ledger on SQLite: the shared contract, and what only SQLite does."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.errors import LedgerUnavailable, SettingInvalid
from ml.ledger import Ledger
from ml.ledger.columns import to_text
from ml.ledger.engine import parse_url, reading
from tests.ledger_contract import LedgerContract
from tests.ledger_entries import NOON, SCHEMA, entry, label


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty ledger file: copying it is quicker than migrating for each test."""
    path = tmp_path_factory.mktemp("ledger") / "template.db"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.migrate()
    ledger.close()
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(template, tmp_path / "ledger.db"))


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    ledger = Ledger(url, schema=SCHEMA)
    yield ledger
    ledger.close()


class TestLedgerOnSqlite(LedgerContract):
    def test_times_are_readable_text_that_sorts(self, ledger: Ledger, path: Path) -> None:
        ledger.store([entry(1)])
        with sqlite3.connect(path) as connection:
            row = connection.execute("SELECT scored_at, datetime(scored_at) FROM decisions").fetchone()
        connection.close()
        assert row == ("2026-03-01T12:01:00.000000Z", "2026-03-01 12:01:00")

    def test_a_row_sealed_before_there_were_tenants_has_the_digest_that_it_had(
        self, ledger: Ledger, path: Path
    ) -> None:
        ledger.store([entry(1)])
        ledger.audit.seal("decisions", until=ledger.audit.newest_row("decisions"), now=NOON)
        with sqlite3.connect(path) as connection:
            [marks] = connection.execute("SELECT marks FROM audit_blocks").fetchone()
        connection.close()
        # As revision 0008 sealed the same row.
        assert marks[16:].hex() == "691d888a4638a81f7ab5e0a23d701c0d"

    def test_commits_reach_the_disk_and_readers_do_not_block(self, ledger: Ledger) -> None:
        with reading(ledger._engine) as connection:
            pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            settings = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
        assert settings == ["wal", 2, 1, 5000]

    def test_a_locked_file_is_an_error_in_the_end_and_not_a_hang(self, url: str, path: Path) -> None:
        ledger = Ledger(url + "?timeout=0.05")
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="locked"):
            ledger.store([entry(1)])
        assert ledger.count_decisions() == 0
        blocker.close()
        assert ledger.store([entry(1)]) == 1
        ledger.close()


def test_a_ledger_without_tables_says_so(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(LedgerUnavailable, match=r"no such table: decisions .*migrations"):
        ledger.count_decisions()
    ledger.close()


def test_a_directory_that_is_not_there_is_ledger_unavailable(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'nowhere' / 'ledger.db'}")
    with pytest.raises(LedgerUnavailable, match="unable to open"):
        ledger.decision_by_id("d-1")
    ledger.close()


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "mysql://host/db", "not a url", ""])
def test_a_database_that_cannot_be_a_ledger_is_refused_by_name(address: str) -> None:
    with pytest.raises(SettingInvalid, match="TOLLGATE_DATABASE_URL"):
        Ledger(address)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_postgres_address_means_psycopg_3(scheme: str) -> None:
    assert parse_url(f"{scheme}://host/db").drivername == "postgresql+psycopg"


def test_a_password_never_shows_in_an_error() -> None:
    ledger = Ledger("postgresql://tollgate:hunter2@127.0.0.1:1/db")
    with pytest.raises(LedgerUnavailable) as error:
        ledger.count_decisions()
    ledger.close()
    assert "hunter2" not in str(error.value)
    assert "***" in str(error.value)


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        label(1, known_at=datetime(2026, 3, 1))  # noqa: DTZ001 - the naive one is the point


def test_a_label_must_say_what_it_labels() -> None:
    with pytest.raises(ValueError, match="neither a decision_id nor values"):
        label(1, decision_id=None)


def test_a_label_must_come_from_a_known_source() -> None:
    with pytest.raises(ValueError, match="'gossip' is none of chargeback"):
        label(1, source="gossip")


def test_stored_text_sorts_as_time_does() -> None:
    moments = [NOON + timedelta(microseconds=step * 333_333) for step in range(20)]
    assert sorted(map(to_text, moments)) == [to_text(moment) for moment in moments]
    assert to_text(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == "9999-12-31T23:59:59.999999Z"
