"""The same transaction more than once, from the queue or from its client: one decision, counted once."""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest

from config import names
from tests.faults.client import Load, Told
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import payment, payments
from tests.faults.promise import assert_one_decision_each
from tests.faults.stack import SCORING, FaultStack

COPIES = 2
AT_ONCE = 100


@pytest.mark.scenario(10, "the same message three times")
def test_a_message_delivered_three_times_counts_once(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    told, copied = Told(), 0
    source = payments(prefix, count=form.accepted, async_every=2)
    while len(told.accepted) < form.accepted:
        with stack.frozen(*SCORING), Load(stack.port, itertools.islice(source, 500), clients=60, told=told) as load:
            load.wait_until(lambda: False, limit_s=120.0)
            copied += sum(_copy(stack, queue) for queue in names.SCORING_QUEUES)
        stack.wait_until(lambda: not any(stack.stats()[f"queue_depth_{queue}"] for queue in names.SCORING_QUEUES), 60)

    kept = assert_one_decision_each(stack, told, prefix)
    scenario.note(accepted=kept.accepted, messages_copied=copied, settled_after_s=kept.settled_s)
    assert copied >= form.accepted // 4


def _copy(stack: FaultStack, queue: str) -> int:
    """Push what waits in a queue twice more. Returns how many messages waited."""
    messages = cast("list[Any]", stack.client.lrange(queue, 0, -1))
    if messages:
        stack.client.lpush(queue, *messages * COPIES)
    return len(messages)


@pytest.mark.scenario(11, "the same key 100 times at once")
def test_a_key_sent_a_hundred_times_at_once_has_one_decision(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    keys, told = form.pick(short=3, full=100), Told()
    for number in range(keys):
        same = itertools.repeat(payment(prefix, number, is_async=number % 3 == 0), AT_ONCE)
        with Load(stack.port, same, clients=AT_ONCE, told=told) as load:
            load.wait_until(lambda: False, limit_s=60.0)

    kept = assert_one_decision_each(stack, told, prefix)
    scenario.note(accepted=kept.accepted, requests=len(told.attempts), settled_after_s=kept.settled_s)
    assert kept.accepted == keys
