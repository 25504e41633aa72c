"""Two beats at once: each tick is sent once, and the second takes over from a first that is killed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from config import names
from deploy.launcher import processes
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.stack import FaultStack

DRAIN_EVERY_S = 1.0
FAILOVER_LIMIT_S = 35.0
READ_TIMEOUT_S = 1


class Ticks:
    """The messages that beat sends, taken off the queue in place of the background worker: task name and time."""

    def __init__(self, stack: FaultStack) -> None:
        self._stack = stack
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self.seen: list[tuple[str, float]] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for the length of the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join()

    def of(self, task: str, since: float = 0.0) -> list[float]:
        """When this task's ticks arrived, monotonic seconds."""
        return [at for name, at in self.seen if name == task and at >= since]

    def _listen(self) -> None:
        while not self._stopping.is_set():
            taken = cast("Any", self._stack.client.brpop([names.QUEUE_TICKS], timeout=READ_TIMEOUT_S))
            if taken is not None:
                self.seen.append((json.loads(taken[1])["headers"]["task"], time.monotonic()))


@pytest.mark.scenario(14, "two beats, and the holder killed")
def test_two_beats_tick_once_and_the_second_takes_over(stack: FaultStack, form: Form, scenario: Scenario) -> None:
    stack.kill("background")
    stack.start(replace(processes.beat(), name="beat-2"))
    ticks = Ticks(stack)
    with ticks.listening():
        stack.wait_until(lambda: bool(ticks.seen), 60)
        began = time.monotonic()
        time.sleep(form.pick(short=4.0, full=120.0))
        ended = time.monotonic()
        # The short form stops the holder in order, which frees its lock; a killed one's lock lasts for 30 s.
        stack.kill("beat") if form.is_full else stack.end("beat")
        gone_at = time.monotonic()
        stack.wait_until(lambda: bool(ticks.of(names.TASK_DRAIN_JOURNAL, since=gone_at + 0.2)), 60)
        failover_s = ticks.of(names.TASK_DRAIN_JOURNAL, since=gone_at + 0.2)[0] - gone_at
    stack.kill("beat-2")

    drains = [at for at in ticks.of(names.TASK_DRAIN_JOURNAL, since=began) if at < ended]
    scenario.note(seconds=ended - began, ticks_of_the_drain=len(drains), failover_s=failover_s)
    assert len(drains) <= (ended - began) / DRAIN_EVERY_S + 1, "a tick was sent twice"
    assert drains, "no tick was sent"
    assert failover_s <= form.pick(short=60.0, full=FAILOVER_LIMIT_S)
