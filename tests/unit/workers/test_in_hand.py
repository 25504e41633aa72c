"""What a worker says it is doing, which a watchdog reads: batches and tasks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import signals
from fakeredis import FakeRedis

from config.settings import Settings
from workers.in_hand import TaskInHand
from workers.runtime import ScoringRuntime


def load(_pointer: Any) -> Any:
    raise AssertionError("nothing is promoted here")


@pytest.fixture
def in_hand() -> Iterator[TaskInHand]:
    in_hand = TaskInHand()
    in_hand.follow()
    yield in_hand
    for signal in (signals.task_prerun, signals.task_postrun):
        signal.disconnect(dispatch_uid="workers.in_hand.begin")
        signal.disconnect(dispatch_uid="workers.in_hand.end")


def test_a_worker_that_refused_a_bundle_is_watched_as_any_other() -> None:
    runtime = ScoringRuntime(Settings(), FakeRedis(), worker="scoring-1", load=load)
    runtime.holder.detail = "digest differs"

    with runtime.busy():
        during = runtime.report()

    assert during.work is not None
    assert (during.work.what, during.detail) == ("batch", "digest differs")
    assert abs(during.work.since - time.time()) < 60
    assert runtime.report().work is None


def test_a_task_is_in_hand_from_its_beginning_to_its_end_for_as_long_as_it_declares(in_hand: TaskInHand) -> None:
    task = SimpleNamespace(name="tollgate.drain_journal", time_limit=90)

    assert in_hand.work is None
    signals.task_prerun.send(sender=task.name, task_id="1", task=task, args=(), kwargs={})
    assert in_hand.work is not None
    assert (in_hand.work.what, in_hand.work.limit_s) == ("tollgate.drain_journal", 90.0)
    signals.task_postrun.send(
        sender=task.name, task_id="1", task=task, args=(), kwargs={}, retval=None, state="FAILURE"
    )
    assert in_hand.work is None
