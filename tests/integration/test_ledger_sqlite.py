"""The ledger on SQLite among processes: migrations, writers side by side, what an import costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ledger_migrations import MigrationContract


@pytest.fixture
def empty_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'not-there-yet' / 'ledger.db'}"


class TestMigratingSqlite(MigrationContract):
    pass


def test_the_web_process_gets_a_ledger_without_any_science() -> None:
    script = (
        "import sys; from ml.ledger import Ledger; Ledger('sqlite:///x.db');"
        "print(sorted({'numpy', 'pandas', 'sklearn', 'alembic', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
