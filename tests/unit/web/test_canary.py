"""The canary: who asks may wait for it, or take what the last one said."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from config.queue.clock import ServerClock
from config.schema.model import Schema
from config.settings import Settings
from web.canary import Canary


class Door:
    """In place of the coalescer: answers the canary, unless `is_shut`. `sent` counts."""

    def __init__(self) -> None:
        self.is_shut = False
        self.sent = 0

    def submit(self, _row: Any, _wait_s: float) -> tuple[str, bytes] | None:
        self.sent += 1
        return None if self.is_shut else ("K", b"{}")


@pytest.fixture
def door() -> Door:
    return Door()


def canary(door: Any, schema: Schema, **settings: float) -> Canary:
    return Canary(door, schema, Settings(**settings))


def until_sent(door: Door, number: int) -> None:
    deadline = time.monotonic() + 10
    while door.sent < number or any(thread.name == "tollgate-canary" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_who_waits_is_told_how_old_a_fresh_answer_is(door: Door, schema: Schema) -> None:
    one = canary(door, schema, canary_interval_s=60)

    assert one.age_s(ServerClock()) is not None
    assert one.age_s(ServerClock()) is not None
    assert door.sent == 1
    assert one.latency_s > 0


def test_who_does_not_wait_is_told_what_the_last_one_said_and_has_one_sent(door: Door, schema: Schema) -> None:
    one = canary(door, schema, canary_interval_s=1e-9)

    assert one.known_age_s(ServerClock()) is None
    until_sent(door, 1)
    door.is_shut = True
    assert one.known_age_s(ServerClock()) is not None
    until_sent(door, 2)
    assert one.known_age_s(ServerClock()) is None
    until_sent(door, 3)
