"""A broker that dies, is away, or is full: nothing accepted is lost, nothing is accepted that could be."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.faults.client import Load, percentile
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import payments
from tests.faults.promise import assert_one_decision_each
from tests.faults.stack import FaultStack

ROOM_BYTES = 1_500_000
QUICK_MS = 1000.0


@pytest.mark.scenario(4, "Valkey kill -9 and restart on its append-only file")
def test_a_broker_killed_under_load_loses_nothing_that_was_accepted(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    kills = form.pick(short=1, full=5)
    with Load(stack.port, payments(prefix), rate=form.pick(short=60.0, full=250.0)) as load:
        for _ in range(kills):
            time.sleep(form.pick(short=0.5, full=5.0))
            stack.valkey.kill()
            time.sleep(form.pick(short=0.3, full=2.0))
            stack.valkey.start()
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=600.0))

    kept = assert_one_decision_each(stack, load.told, prefix)
    scenario.note(accepted=kept.accepted, kills=kills, refused=load.told.statuses[503], settled_after_s=kept.settled_s)


@pytest.mark.scenario(5, "Valkey down at enqueue")
def test_without_a_broker_every_answer_is_a_quick_503_and_nothing_is_accepted(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    stack.valkey.kill()
    try:
        with Load(stack.port, payments(prefix, count=form.accepted), is_patient=False) as load:
            load.wait_for(form.accepted, limit_s=120.0)
        refused = dict(load.told.statuses)
        refused_in_ms = load.told.took_ms()
    finally:
        stack.valkey.start()
    with Load(stack.port, payments(prefix, count=form.accepted), told=load.told) as load:
        load.wait_for(form.accepted, limit_s=120.0)

    kept = assert_one_decision_each(stack, load.told, prefix)
    scenario.note(
        refused=refused[503], slowest_refusal_ms=max(refused_in_ms), accepted_afterwards=kept.accepted,
        settled_after_s=kept.settled_s,
    )  # fmt: skip
    assert refused == {503: form.accepted}
    assert max(refused_in_ms) < form.pick(short=10 * QUICK_MS, full=QUICK_MS)


@pytest.mark.scenario(13, "Valkey at its memory limit")
def test_a_full_broker_refuses_clearly_and_evicts_nothing(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    evicted, deaths = _evicted(stack), []
    with Load(stack.port, payments(prefix), clients=16) as load:
        _limit_memory(stack, int(stack.client.info("memory")["used_memory"]) + ROOM_BYTES)
        load.wait_until(_reviving(stack, deaths, lambda: load.told.statuses[503] >= 50), limit_s=120.0)
        full_since = time.monotonic()
        time.sleep(form.pick(short=0.5, full=30.0))
        full_until = time.monotonic()
        stack.revive()
        _limit_memory(stack, 0)
        load.wait_until(_reviving(stack, deaths, lambda: len(load.told.accepted) >= form.accepted), limit_s=300.0)
    _keep_alive(stack, deaths)

    kept = assert_one_decision_each(stack, load.told, prefix)
    scenario.note(
        accepted=kept.accepted, refused=load.told.statuses[503],
        p99_while_full_ms=percentile(load.told.took_ms(since=full_since, until=full_until), 0.99),
        evicted=_evicted(stack) - evicted, workers_that_died=len(deaths), settled_after_s=kept.settled_s,
    )  # fmt: skip
    assert _evicted(stack) == evicted


def _limit_memory(stack: FaultStack, limit_bytes: int) -> None:
    stack.client.config_set("maxmemory", limit_bytes)


def _evicted(stack: FaultStack) -> int:
    return int(stack.client.info("stats")["evicted_keys"])


def _reviving(stack: FaultStack, deaths: list[str], is_enough: Callable[[], bool]) -> Callable[[], bool]:
    def look() -> bool:
        deaths.extend(stack.revive())
        return is_enough()

    return look


def _keep_alive(stack: FaultStack, deaths: list[str]) -> None:
    deaths.extend(stack.revive())
    stack.wait_until_serving()
