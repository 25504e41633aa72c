"""A network that swallows everything, or cuts every connection again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.faults.client import Load, percentile
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import payment, payments
from tests.faults.promise import assert_one_decision_each
from tests.faults.proxy import Proxy
from tests.faults.stack import SCORING, FaultStack

P99_LIMIT_MS = 1500.0
RECOVERY_LIMIT_S = 15.0
ATTEMPT_LIMIT_S = 60.0


@pytest.fixture
def proxy(shared_stack: FaultStack) -> Iterator[Proxy]:
    """A proxy in front of the stack's broker; what went through it is killed at the end."""
    proxy = Proxy(shared_stack.valkey.port)
    yield proxy
    for name, child in list(shared_stack.children.items()):
        if "TOLLGATE_REDIS_URL" in child.process.env:
            shared_stack.kill(name)
    proxy.close()


def send_through(stack: FaultStack, proxy: Proxy, *names: str) -> None:
    """Start these processes again, with the proxy as their broker."""
    for name in names:
        process = stack.children[name].process
        env = {**process.env, "TOLLGATE_REDIS_URL": proxy.via(stack.settings.redis_url)}
        stack.replace(replace(process, env=env))
    stack.wait_until_serving()


@pytest.mark.scenario(6, "black hole between web and broker")
def test_a_black_hole_is_answered_quickly_and_left_soon(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario, proxy: Proxy
) -> None:
    send_through(stack, proxy, "web")
    with Load(stack.port, payments(prefix), rate=form.pick(short=100.0, full=200.0)) as load:
        time.sleep(0.5)
        hole_from = time.monotonic()
        with proxy.black_hole():
            time.sleep(form.pick(short=4.0, full=60.0))
        hole_until = time.monotonic()
        load.wait_until(lambda: bool(load.told.took_ms(200, since=hole_until)), limit_s=60.0)
        recovered_s = time.monotonic() - hole_until
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=600.0))

    kept = assert_one_decision_each(stack, load.told, prefix)
    p99_ms = percentile(load.told.took_ms(since=hole_from, until=hole_until), 0.99)
    scenario.note(
        accepted=kept.accepted, refused=load.told.statuses[503], p99_in_the_hole_ms=p99_ms,
        recovered_after_s=recovered_s, settled_after_s=kept.settled_s,
    )  # fmt: skip
    assert p99_ms <= form.pick(short=10 * P99_LIMIT_MS, full=P99_LIMIT_MS)
    assert recovered_s <= RECOVERY_LIMIT_S * form.pick(short=3.0, full=1.0)


@pytest.mark.scenario(7, "reconnect flaps of every process")
def test_flapping_connections_lose_nothing_and_no_process_stops_working(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario, proxy: Proxy
) -> None:
    deaths = len(stack.deaths)
    send_through(stack, proxy, *stack.standard())
    flaps = form.pick(short=4, full=20)
    with Load(stack.port, payments(prefix), rate=form.pick(short=60.0, full=150.0)) as load:
        for _ in range(flaps):
            time.sleep(form.pick(short=0.4, full=2.5))
            with proxy.cut():
                time.sleep(form.pick(short=0.2, full=0.5))
            stack.revive()
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=600.0))

    kept = assert_one_decision_each(stack, load.told, prefix)
    died = stack.deaths[deaths:]
    scenario.note(
        accepted=kept.accepted, flaps=flaps, refused=load.told.statuses[503],
        processes_that_died=len(died), settled_after_s=kept.settled_s,
    )  # fmt: skip
    assert set(died) <= {"beat"}  # redbeat ends beat when its lock cannot be kept; it is started again
    stack.wait_until_serving()


def test_attempts_whose_connections_are_cut_give_nothing_up(faulty: FaultStack, prefix: str, proxy: Proxy) -> None:
    """Scoring takes half a second, and each attempt loses the broker in the middle of it, as often as may fail."""
    send_through(faulty, proxy, *SCORING)
    for name in SCORING:
        faulty.switch(f"slow-{name}", "0.5")
    with Load(faulty.port, iter([payment(prefix, 0, is_async=True)]), clients=1) as load:
        for cuts in range(faulty.settings.inbox_attempts):
            faulty.wait_until(lambda cuts=cuts: begun(faulty) > cuts, ATTEMPT_LIMIT_S)
            with proxy.cut():
                time.sleep(0.8)
    faulty.clear_switches()

    kept = assert_one_decision_each(faulty, load.told, prefix)
    assert kept.accepted == 1


def begun(stack: FaultStack) -> int:
    """How many attempts slow workers have begun."""
    return sum(len(log.read_text().splitlines()) for log in stack.fault_dir.glob("scored-by-*"))
