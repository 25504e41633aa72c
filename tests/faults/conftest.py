"""The fault suite's stack, its form (short or full), and the figures that each scenario leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.figures import Scenario, as_lines, write_page
from tests.faults.form import Form
from tests.faults.stack import REPOSITORY, FaultStack, running_stack

SCENARIOS = pytest.StashKey[list[Scenario]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def form(request: pytest.FixtureRequest) -> Form:
    """Short, or full with `--faults=full`."""
    return Form(is_full=request.config.getoption("--faults") == "full")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a trained model and warm caches, for every stack to begin with."""
    directory = tmp_path_factory.mktemp("faults")
    data_dir = directory / "template"
    data_dir.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NUMBA_CACHE_DIR": str(data_dir / "cache" / "numba")}
    subprocess.run(
        [sys.executable, "-m", "deploy.bench.train", str(directory)],
        env=environment,
        check=True,
        capture_output=True,
        timeout=300,
    )
    return data_dir


def _lifetime(fixture_name: str, config: pytest.Config) -> Any:
    """Full: a fresh stack for each scenario. Short: one for all, made whole in between."""
    return "function" if config.getoption("--faults") == "full" else "session"


@pytest.fixture(scope=_lifetime)
def shared_stack(template: Path, form: Form) -> Iterator[FaultStack]:
    """A stack of which only Valkey runs; scenarios ask for `stack` or `faulty`."""
    with running_stack(template, is_full=form.is_full) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack: FaultStack) -> FaultStack:
    """A whole Tollgate, serving. Break what you like: the next scenario gets it whole again."""
    shared_stack.clear_switches()
    shared_stack.make_whole()
    return shared_stack


@pytest.fixture
def faulty(shared_stack: FaultStack) -> FaultStack:
    """The same with scoring workers that obey switches."""
    shared_stack.clear_switches()
    shared_stack.make_whole(shared_stack.faulty(1), shared_stack.faulty(2))
    return shared_stack


@pytest.fixture
def prefix() -> str:
    """What the ids of this scenario begin with."""
    return uuid.uuid4().hex[:8]


@pytest.fixture
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """Where this scenario leaves its figures. Its number and title come from `@pytest.mark.scenario`."""
    number, title = request.node.get_closest_marker("scenario").args
    test = request.node.nodeid
    return Scenario(number, title, test)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Keep the figures of every scenario that ran, with its outcome."""
    report: Any = yield
    scenario = getattr(item, "funcargs", {}).get("scenario")
    if call.when == "call" and isinstance(scenario, Scenario):
        scenario.outcome = report.outcome
        item.config.stash.setdefault(SCENARIOS, []).append(scenario)
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the figures; after a full run write the page: also what failed, as failed."""
    scenarios = config.stash.get(SCENARIOS, [])
    if not scenarios:
        return
    terminalreporter.section(f"faults, {config.getoption('--faults')} form")
    for line in as_lines(scenarios):
        terminalreporter.write_line(line)
    if config.getoption("--faults") == "full":
        write_page(scenarios, f"pytest {' '.join(config.invocation_params.args)}")
