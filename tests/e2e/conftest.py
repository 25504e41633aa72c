"""The running stack that end-to-end tests share, with a first model trained as a stranger's would be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running_stack import RunningStack

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A whole Tollgate, default schema. Shared: leave it scoring, kill only what comes back."""
    running = RunningStack(
        tmp_path_factory.mktemp("stack") / "data", {"TOLLGATE_EXPORTER_VENV": str(REPOSITORY / ".venv-exporter")}
    )
    try:
        running.start()
        yield running
    finally:
        if running.launcher is not None and running.launcher.poll() is None:
            running.stop()
