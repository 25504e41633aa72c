"""Workers that die, are stopped, or take a message with them: nothing accepted is lost, nothing counted twice."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.faults.client import Load, percentile
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import payments
from tests.faults.promise import assert_one_decision_each
from tests.faults.stack import SCORING, FaultStack
from tests.faults.transport import STOP


@pytest.mark.scenario(1, "kill -9 of a random worker under load")
def test_workers_killed_under_load_lose_nothing(stack: FaultStack, form: Form, prefix: str, scenario: Scenario) -> None:
    kills = form.pick(short=3, full=50)
    victims = form.pick(short=list(SCORING), full=[*SCORING, "background"])
    rng = random.Random(1)
    with Load(stack.port, payments(prefix), rate=form.pick(short=60.0, full=120.0)) as load:
        for _ in range(kills):
            time.sleep(rng.uniform(0.3, form.pick(short=0.6, full=2.5)))
            stack.restart(rng.choice(victims))
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=600.0))

    kept = assert_one_decision_each(stack, load.told, prefix)
    scenario.note(accepted=kept.accepted, kills=kills, answered_at_once=kept.decided, settled_after_s=kept.settled_s)


@pytest.mark.scenario(2, "stopped between pop and unacknowledged record, then killed")
def test_a_message_that_dies_between_pop_and_record_is_not_lost(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    for number in (1, 2):
        stack.replace(stack.faulty(number))
    stack.wait_until_serving(*SCORING)
    kills = form.pick(short=2, full=100)
    with Load(stack.port, payments(prefix, async_every=1), rate=form.pick(short=60.0, full=60.0)) as load:
        for _ in range(kills):
            stack.switch(STOP)
            stack.restart(_worker_that_took(stack, STOP))
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=900.0))

    kept = assert_one_decision_each(stack, load.told, prefix)
    scenario.note(accepted=kept.accepted, kills=kills, settled_after_s=kept.settled_s)


@pytest.mark.scenario(3, "SIGTERM rolling restart of every process")
def test_a_rolling_restart_shows_no_error_and_loses_nothing(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    with Load(stack.port, payments(prefix), rate=form.pick(short=60.0, full=200.0)) as load:
        reloads = _reload_web(stack)
        for name in (*SCORING, "background", "beat"):
            process = stack.children[name].process
            stack.end(name)
            stack.start(process)
            if name in SCORING:
                stack.wait_until_serving(*SCORING)
        stack.wait_until(lambda: _reloads(stack) > reloads, 60)
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=600.0))

    kept = assert_one_decision_each(stack, load.told, prefix)
    statuses = load.told.statuses
    scenario.note(
        accepted=kept.accepted,
        connections_lost=statuses[0],
        p99_ms=percentile(load.told.took_ms(200), 0.99),
        settled_after_s=kept.settled_s,
    )
    assert {status for status in statuses if status >= 500} == set(), load.told.refusals


def _worker_that_took(stack: FaultStack, switch: str) -> str:
    marks = {name: stack.fault_dir / f"{switch}-by-{name}" for name in SCORING}
    stack.wait_until(lambda: any(mark.exists() for mark in marks.values()), 60)
    name = next(name for name, mark in marks.items() if mark.exists())
    marks[name].unlink()
    return name


def _reload_web(stack: FaultStack) -> int:
    """Ask for granian's own reload: a new web process takes over before the old one ends. Returns the ones before."""
    before = _reloads(stack)
    os.kill(stack.children["web"].pid, signal.SIGHUP)
    return before


def _reloads(stack: FaultStack) -> int:
    return (stack.log_dir / "web.log").read_text().count("Stopped old worker")
