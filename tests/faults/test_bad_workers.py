"""Workers that are slow, hang, stop at the worst moment, meet a row they cannot score, or have a wrong clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

import pytest

from config import names
from deploy.launcher.stack import Stack
from deploy.launcher.supervisor import StopRequested, Supervisor
from deploy.launcher.tether import Tether
from tests.faults.client import Load, Told, percentile
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import payment, payments
from tests.faults.promise import assert_one_decision_each
from tests.faults.stack import SCORING, SKEWED_ENVIRONMENT, FaultStack
from tests.faults.switches import POISON
from tests.faults.transport import STOP

AHEAD_S = 120
UNACKED = "tollgate:unacked:scoring"
P99_RATIO = 1.5
REPLACED_LIMIT_S = 10.0


@pytest.mark.scenario(8, "one worker slower by 500 ms")
def test_a_slow_worker_does_not_slow_the_others(
    faulty: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    told, rate = Told(), form.pick(short=60.0, full=150.0)
    source = payments(prefix, async_every=0)
    with Load(faulty.port, source, rate=rate, told=told) as load:
        load.wait_for(form.accepted // 2, limit_s=300.0)
    before_ms = percentile(told.took_ms(200), 0.99)
    slow_since = time.monotonic()
    faulty.switch("slow-scoring-2", "0.5")
    with Load(faulty.port, source, rate=rate, told=told) as load:
        load.wait_for(form.accepted, limit_s=300.0)

    kept = assert_one_decision_each(faulty, told, prefix)
    slow = _scored_by(faulty, "scoring-2")
    others = [
        one.took_s * 1000
        for one in told.attempts
        if one.sent_at >= slow_since and one.status == 200 and one.transaction_id not in slow
    ]
    scenario.note(
        accepted=kept.accepted, by_the_slow_worker=len(slow), p99_before_ms=before_ms,
        p99_of_the_others_ms=percentile(others, 0.99), settled_after_s=kept.settled_s,
    )  # fmt: skip
    assert slow, "the slow worker had nothing to do"
    assert percentile(others, 0.99) <= before_ms * form.pick(short=1000.0, full=P99_RATIO)


@pytest.mark.scenario(18, "a poison row")
def test_a_poison_row_becomes_a_dead_letter_and_its_neighbours_are_scored(
    faulty: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    poisons = [payment(f"{prefix}-{POISON}", number, is_async=True) for number in range(form.pick(short=2, full=20))]
    told = Told()
    with (
        Load(faulty.port, payments(prefix), rate=form.pick(short=60.0, full=250.0), told=told) as load,
        Load(faulty.port, iter(poisons), clients=2, told=told),
    ):
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=600.0))
    poisoned = frozenset(one.transaction_id for one in poisons)

    try:
        kept = assert_one_decision_each(faulty, told, prefix, limit_s=240.0, dead=poisoned)
        dead = cast("list[bytes]", faulty.client.zrange(names.DEAD_LETTERS, 0, -1))
    finally:
        faulty.client.delete(names.DEAD_LETTERS, *map(names.inbox_key, poisoned))
    scenario.note(accepted=kept.accepted, dead_letters=len(dead), settled_after_s=kept.settled_s)
    assert {entry.decode() for entry in dead} == poisoned


@pytest.mark.scenario(2, "stopped between pop and unacknowledged record, then killed")
def test_a_message_that_dies_between_pop_and_record_is_not_lost(
    faulty: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    kills = form.pick(short=2, full=100)
    with Load(faulty.port, payments(prefix, async_every=1), rate=form.pick(short=60.0, full=60.0)) as load:
        for _ in range(kills):
            faulty.switch(STOP)
            faulty.restart(_worker_that_took(faulty, STOP))
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=900.0))

    kept = assert_one_decision_each(faulty, load.told, prefix)
    scenario.note(accepted=kept.accepted, kills=kills, settled_after_s=kept.settled_s)


@pytest.mark.scenario(15, "clock 120 s ahead on one worker")
def test_a_worker_whose_clock_is_ahead_doubles_no_decision(
    shared_stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    """It sees the others' messages as overdue at once and gives them out again: a worker that takes 3 s shows it."""
    skew = SKEWED_ENVIRONMENT | {"TOLLGATE_TEST_CLOCK_AHEAD_S": str(AHEAD_S)}
    stack = shared_stack
    stack.clear_switches()
    stack.make_whole(stack.faulty(1), stack.faulty(2, **skew))
    stack.switch("slow-scoring-1", "3.0")
    stack.switch("slow-scoring-2", "0.0")
    with Load(stack.port, payments(prefix), clients=24) as load:
        load.wait_for(form.accepted, limit_s=form.pick(short=90.0, full=900.0))

    stack.wait_until(lambda: not stack.client.hlen(UNACKED), 60)
    kept = assert_one_decision_each(stack, load.told, prefix, limit_s=180.0)
    slow = _scored_by(stack, "scoring-1")
    again = slow & _scored_by(stack, "scoring-2")
    scenario.note(
        accepted=kept.accepted, by_the_slow_worker=len(slow), given_out_again=len(again), settled_after_s=kept.settled_s
    )  # fmt: skip
    assert again, "no message was given out again"


@pytest.mark.scenario(9, "a predict that hangs")
def test_a_hanging_worker_is_replaced_and_its_row_is_decided_elsewhere(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    hangs = form.pick(short=1, full=5)
    said: list[str] = []
    replaced_s, decided_s = [], []
    with _supervised_workers(stack, said):
        with Load(stack.port, payments(prefix), rate=form.pick(short=60.0, full=100.0)) as load:
            for _ in range(hangs):
                ids, hung_at, heard = _hang_one(stack), time.monotonic(), len(said)
                stack.wait_until(lambda heard=heard: any("in one batch" in text for text in said[heard:]), 60)
                replaced_s.append(time.monotonic() - hung_at)
                stack.wait_until(lambda ids=ids: all(_is_decided(stack, one) for one in ids), 90)
                decided_s.append(time.monotonic() - hung_at)
            load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=600.0))
        kept = assert_one_decision_each(stack, load.told, prefix)

    scenario.note(
        accepted=kept.accepted, hangs=hangs, replaced_after_s=max(replaced_s), its_rows_decided_after_s=max(decided_s),
        settled_after_s=kept.settled_s,
    )  # fmt: skip
    assert max(replaced_s) <= form.pick(short=30.0, full=REPLACED_LIMIT_S)


@contextmanager
def _supervised_workers(stack: FaultStack, said: list[str]) -> Iterator[None]:
    """Faulty scoring workers under the launcher's own supervisor and watchdog, in place of the stack's."""
    for name in SCORING:
        stack.kill(name)
    supervisor = Supervisor(
        log_dir=stack.log_dir, environment=stack.environment(), groups=Tether(), say=said.append
    )  # fmt: skip
    watching = threading.Thread(target=_watch, args=(Stack(stack.settings, supervisor, said.append),))
    since = time.time()
    for number in (1, 2):
        supervisor.start(stack.faulty(number))
    watching.start()
    try:
        stack.wait_until(lambda: stack.serving_since(since) >= set(SCORING), 60)
        yield
    finally:
        supervisor.request_stop()
        watching.join()
        supervisor.stop()


def _watch(launcher: Stack) -> None:
    with suppress(StopRequested):
        launcher.watch()


def _hang_one(stack: FaultStack) -> list[str]:
    """Make one worker hang in its next batch; the ids of its rows."""
    stack.switch("hang")
    marks = [stack.fault_dir / f"hang-by-{name}" for name in SCORING]
    stack.wait_until(lambda: any(mark.exists() and mark.read_text() for mark in marks), 60)
    mark = next(mark for mark in marks if mark.exists())
    ids = mark.read_text().split()
    mark.unlink()
    return ids


def _worker_that_took(stack: FaultStack, switch: str) -> str:
    marks = {name: stack.fault_dir / f"{switch}-by-{name}" for name in SCORING}
    stack.wait_until(lambda: any(mark.exists() for mark in marks.values()), 60)
    name = next(name for name, mark in marks.items() if mark.exists())
    marks[name].unlink()
    return name


def _is_decided(stack: FaultStack, transaction_id: str) -> bool:
    return bool(stack.client.exists(names.result_key(transaction_id)))


def _scored_by(stack: FaultStack, name: str) -> set[str]:
    log = stack.fault_dir / f"scored-by-{name}"
    return set(log.read_text().split()) if log.exists() else set()
