"""Load for a long time: `make soak`, half an hour. The memory of every process stays flat, and so does latency."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.client import Load, Told, percentile
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import payments
from tests.faults.promise import assert_one_decision_each
from tests.faults.stack import FaultStack, running_stack

SECONDS = 6.0
RATE = 150.0
WINDOWS = 6
LOOKED_UP = 10_000
KEPT_S = 60
"""How long Redis keeps a decision here: an hour by default, in which half an hour's would only grow."""
GROWTH_MB, GROWTH_SHARE = 15.0, 0.10
P50_RATIO = 1.5

Memory = dict[str, float]


@pytest.fixture
def short_lived(request: pytest.FixtureRequest, template: Path, form: Form, minutes: float) -> Iterator[FaultStack]:
    """For a real soak a stack whose Redis keeps decisions for a minute; else the one that is there."""
    if not minutes:
        yield request.getfixturevalue("stack")
        return
    lifetimes = {"result_ttl_s": KEPT_S, "dedupe_ttl_s": KEPT_S, "seen_ttl_s": KEPT_S}
    with running_stack(template, is_full=form.is_full, settings=lifetimes) as stack:
        yield stack


@pytest.fixture
def minutes(request: pytest.FixtureRequest) -> float:
    """How long to soak; 0 for a few seconds that only show that it runs."""
    given: float = request.config.getoption("--soak-minutes")
    return given


@pytest.mark.scenario(20, "soak")
def test_memory_and_latency_stay_flat(short_lived: FaultStack, minutes: float, prefix: str, scenario: Scenario) -> None:
    stack, told = short_lived, Told()
    window_s = (minutes * 60 or SECONDS) / WINDOWS
    p50_ms, memory = [], []
    with Load(stack.port, payments(prefix), rate=RATE, told=told):
        for _ in range(WINDOWS):
            began = time.monotonic()
            time.sleep(window_s)
            p50_ms.append(percentile(told.took_ms(200, since=began), 0.5))
            memory.append(_memory_mb(stack))

    kept = assert_one_decision_each(stack, told, prefix, looked_up=LOOKED_UP)
    # The first window warms up: caches fill, and Redis keeps what will expire.
    growth = {name: memory[-1][name] - memory[1][name] for name in memory[1]}
    scenario.note(
        minutes=window_s * WINDOWS / 60, accepted=kept.accepted, p50_early_ms=p50_ms[1], p50_late_ms=p50_ms[-1]
    )
    scenario.note(**{f"{name}_MB": memory[-1][name] for name in growth})
    scenario.note(**{f"{name}_growth_MB": grown for name, grown in growth.items()})
    if minutes:
        assert not stack.deaths
        assert {name for name, grown in growth.items() if grown > GROWTH_MB + GROWTH_SHARE * memory[1][name]} == set()
        assert p50_ms[-1] <= P50_RATIO * p50_ms[1]


def _memory_mb(stack: FaultStack) -> Memory:
    """Resident memory of each process with its children, in MB."""
    roots = {name: child.pid for name, child in stack.children.items()} | {"valkey": stack.valkey.pid}
    return {name: sum(one.memory_info().rss for one in _tree(pid)) / 1e6 for name, pid in roots.items()}


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]
