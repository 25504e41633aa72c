"""`tollgate audit verify` on a ledger in a file: what it says, and its exit code."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import click.testing
import msgspec
import pytest

from deploy.commands.audit import command
from ml.ledger import Ledger
from ml.ledger.audit.verify import Verification
from tests.ledger_entries import NOON, SCHEMA, entry

Run = Callable[..., click.testing.Result]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with five decisions in the chain."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    ledger.migrate()
    ledger.store([entry(number) for number in range(1, 6)])
    ledger.audit.seal("decisions", until=4, now=NOON)
    ledger.close()
    return tmp_path / "ledger.db"


@pytest.fixture
def run(path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TOLLGATE_DATABASE_URL", f"sqlite:///{path}")
    return lambda *arguments: click.testing.CliRunner().invoke(command, ["verify", *arguments])


def test_a_whole_ledger_is_0_and_tells_the_head_to_note(run: Run) -> None:
    result = run()

    assert result.exit_code == 0, result.output
    assert "rows compared: 4, not sealed yet: 1" in result.output
    head = msgspec.json.decode(run("--json").stdout, type=Verification).head
    assert f"head: {head}" in result.output
    assert run("--head", head).exit_code == 0


def test_a_changed_row_is_named_and_1(run: Run, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE decisions SET action = 'decline' WHERE id = 3")
    connection.close()

    result = run()

    assert result.exit_code == 1
    assert "decisions row 3 was changed" in result.output
    assert run("--head", "0" * 63 + "1").exit_code == 1


def test_what_retention_took_is_no_finding(run: Run, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM decisions WHERE id = 1")
    connection.close()

    assert run("--retained-since", "2026-03-01").exit_code == 1
    assert run("--retained-since", "2026-03-01T12:01:30").exit_code == 0
    assert run("--retained-since", "yesterday").exit_code == 2
