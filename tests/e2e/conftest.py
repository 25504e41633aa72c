"""What end-to-end tests share: the running stack, its first model trained as a stranger's would be, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from deploy.traffic.own_system import EAGER
from tests.e2e.browser import launched_browser, screenshots_are_wanted
from tests.e2e.running_stack import RunningStack

REPOSITORY = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is generated from the document goes last: it leaves payments that nobody would make."""
    items.sort(key=lambda item: item.path.name == "test_contract.py")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A whole Tollgate, default schema. Shared: leave it scoring, kill only what comes back."""
    extra = {
        "TOLLGATE_EXPORTER_VENV": str(REPOSITORY / ".venv-exporter"),
        **(EAGER if screenshots_are_wanted() else {}),
    }
    running = RunningStack(tmp_path_factory.mktemp("stack") / "data", extra)
    try:
        running.start()
        yield running
    finally:
        if running.launcher is not None and running.launcher.poll() is None:
            running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium; every test opens pages of its own in it. Ended with its module: it runs an event loop meanwhile."""
    with launched_browser() as launched:
        yield launched
