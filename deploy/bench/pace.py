"""When the next request is due: at once (closed loop), or on a fixed timetable (open loop)."""

from __future__ import annotations

import math
from typing import Protocol


class Pace(Protocol):
    """Hands out intended send times, in order, each once."""

    def take(self, now: float) -> float | None:
        """The intended send time of a request that is due at `now`, or None."""
        ...

    def next_at(self) -> float:
        """When the next request is due; infinity when nothing is waited for."""
        ...


class ClosedLoop:
    """Each connection sends its next request as soon as the last one is answered, until `stop_at`."""

    def __init__(self, stop_at: float) -> None:
        self._stop_at = stop_at

    def take(self, now: float) -> float | None:
        return now if now < self._stop_at else None

    def next_at(self) -> float:
        return math.inf


class OpenLoop:
    """`rate` requests per second from `start_at` until `stop_at`, whatever the server does.

    The intended send time counts, not the moment when a connection was free, so a stall shows in the
    latency of every request that was due meanwhile (no coordinated omission).
    """

    def __init__(self, rate: float, *, start_at: float, stop_at: float) -> None:
        self._rate = rate
        self._start_at = start_at
        self._taken = 0
        self._planned = max(1, math.ceil(rate * (stop_at - start_at)))

    def take(self, now: float) -> float | None:
        due_at = self.next_at()
        if due_at > now:
            return None
        self._taken += 1
        return due_at

    def next_at(self) -> float:
        if self._taken >= self._planned:
            return math.inf
        return self._start_at + self._taken / self._rate
