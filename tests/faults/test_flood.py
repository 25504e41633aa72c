"""More requests than the machine can score: what is accepted stays quick, and afterwards all is as before."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.faults.client import Load, Told, percentile
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import payments
from tests.faults.promise import assert_one_decision_each
from tests.faults.stack import REPOSITORY, SCORING, FaultStack

FLOOD_TIMES = 10
FLOOD_CONNECTIONS = 1000
NORMAL_AGAIN_S = 10.0
NORMAL_RATIO = 2.0
FLOOD_P99_MS = 1000.0
LATER_CLIENTS = 32
NOW_CLIENTS = 8
NOW_PER_S = 100.0
NOW_ANSWERS_EACH = 3
"""What each client that waits is answered at least while accepted payments are left. Behind all of them it gets one."""


@pytest.mark.scenario(16, "flood of 10x capacity")
def test_a_flood_is_refused_quickly_and_forgotten_soon(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    told, source = Told(), payments(prefix)
    capacity = _generate(stack, seconds=form.pick(short=1.0, full=8.0), connections=32)
    with Load(stack.port, source, clients=8, rate=form.pick(short=40.0, full=100.0), told=told) as load:
        time.sleep(form.pick(short=1.0, full=20.0))
        flood_from = time.monotonic()
        flood = _generate(
            stack,
            seconds=form.pick(short=2.0, full=30.0),
            connections=FLOOD_CONNECTIONS,
            rate=FLOOD_TIMES * capacity["requests_s"],
        )
        normal_from = time.monotonic() + NORMAL_AGAIN_S * form.pick(short=0.1, full=1.0)
        time.sleep(form.pick(short=1.0, full=10.0 + NORMAL_AGAIN_S))
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=600.0))

    beside = _pay_beside_accepted(stack, form, prefix, told)
    kept = assert_one_decision_each(stack, told, prefix, looked_up=form.pick(short=500, full=None))
    before_ms = percentile(told.took_ms(200, until=flood_from), 0.99)
    after_ms = percentile(told.took_ms(200, since=normal_from), 0.99)
    statuses = flood["statuses"]
    flood_ms = percentile(told.took_ms(200, 202, since=flood_from, until=normal_from), 0.99)
    scenario.note(
        accepted=kept.accepted, capacity_per_s=capacity["requests_s"], flood_per_s=FLOOD_TIMES * capacity["requests_s"],
        flood_answered_200=statuses.get("200", 0), flood_answered_202=statuses.get("202", 0),
        flood_refused=statuses.get("503", 0) + statuses.get("429", 0), flood_timeouts=flood["timeouts"],
        p99_in_the_flood_ms=flood_ms,
        p99_before_ms=before_ms, p99_afterwards_ms=after_ms, **beside, settled_after_s=kept.settled_s,
    )  # fmt: skip
    assert set(statuses) <= {"200", "202", "429", "503"}
    assert flood_ms <= FLOOD_P99_MS * form.pick(short=10.0, full=1.0)
    assert after_ms <= before_ms * form.pick(short=1000.0, full=NORMAL_RATIO)


def _pay_beside_accepted(stack: FaultStack, form: Form, prefix: str, told: Told) -> dict[str, float]:
    """A flood with `Prefer: respond-async`, then payments that somebody waits for, as long as it leaves a backlog."""
    later = payments(f"{prefix}-later", count=form.pick(short=1000, full=20_000), async_every=1)
    with stack.frozen(*SCORING), Load(stack.port, later, clients=LATER_CLIENTS, told=told) as flood:
        flood.wait_until(lambda: False, limit_s=120.0)
        backlog = stack.stats()["queue_depth_accepted"]
    began, now = time.monotonic(), payments(f"{prefix}-now", async_every=0)
    with Load(stack.port, now, clients=NOW_CLIENTS, rate=NOW_PER_S, told=told):
        stack.wait_until(lambda: stack.stats()["queue_depth_accepted"] == 0, 300)
        ended = time.monotonic()
    in_time = [one for one in told.attempts if one.sent_at >= began and one.sent_at + one.took_s <= ended]
    assert {one.status for one in in_time} == {200}
    assert len(in_time) >= NOW_ANSWERS_EACH * NOW_CLIENTS
    return {
        "accepted_waiting": backlog,
        "accepted_done_per_s": backlog / (ended - began),
        "p99_beside_accepted_ms": percentile([1000 * one.took_s for one in in_time], 0.99),
    }


def _generate(stack: FaultStack, *, seconds: float, connections: int, rate: float | None = None) -> dict[str, Any]:
    """Load from a process of its own; what it counted."""
    url, paced = f"http://127.0.0.1:{stack.port}/predict", ("--rate", str(rate)) if rate else ()
    window = ("--seconds", str(seconds), "--warm-up", "0.5", "--connections", str(connections))
    done = subprocess.run(
        [sys.executable, "-m", "deploy.bench.load", "--url", url, *window, *paced],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        timeout=seconds + 120,
    )
    counted: dict[str, Any] = json.loads(done.stdout)
    return counted
