"""What work waits for in the simulation: processors, an interpreter, a broker that syncs its file. Times in seconds."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

# What happens at a moment; it is told when that is.
Event = Callable[[float], None]


class Clock:
    """Events in the order of their times."""

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Event]] = []
        self._count = 0

    def at(self, when: float, event: Event) -> None:
        """Let `event` happen at `when`; of two at the same time, the one that was named first."""
        self._count += 1
        heapq.heappush(self._events, (when, self._count, event))

    def run(self, until: float) -> None:
        """Let everything happen up to `until`."""
        while self._events and self._events[0][0] <= until:
            now, _, event = heapq.heappop(self._events)
            event(now)


class Processors:
    """`count` processors, first come first served. Calls must come in the order of their times."""

    def __init__(self, count: int) -> None:
        self._free_at = [0.0] * count
        self.busy_s = 0.0

    def serve(self, now: float, work_s: float) -> float:
        """When `work_s` of work that arrives at `now` is done."""
        start = max(now, heapq.heappop(self._free_at))
        heapq.heappush(self._free_at, start + work_s)
        self.busy_s += work_s
        return start + work_s


@dataclass
class Interpreter:
    """A Python process: one thing at a time, on whichever of its machine's processors is free."""

    clock: Clock
    cores: Processors
    _to_do: deque[tuple[float, Event]] = field(default_factory=deque)
    _is_busy: bool = False

    def work(self, now: float, work_s: float, then: Event) -> None:
        """Do `work_s` of work after what there is to do already; `then` when it is done."""
        self._to_do.append((work_s, then))
        if not self._is_busy:
            self._next(now)

    def _next(self, now: float) -> None:
        self._is_busy = bool(self._to_do)
        if self._to_do:
            work_s, then = self._to_do.popleft()
            self.clock.at(self.cores.serve(now, work_s), lambda at: self._done(at, then))

    def _done(self, now: float, then: Event) -> None:
        then(now)
        self._next(now)


@dataclass
class Broker:
    """One thread that takes everything that waits, does it, syncs its file once, and answers all: then the next round.

    `cores`: the processors that it shares with others; None: it has its own.
    """

    clock: Clock
    sync_s: float
    cores: Processors | None = None
    busy_s: float = 0.0
    _waiting: list[tuple[float, Event]] = field(default_factory=list)
    _is_busy: bool = False

    def ask(self, now: float, work_s: float, answered: Event) -> None:
        """A command that writes and costs `work_s`; `answered` once the file has it."""
        self._waiting.append((work_s, answered))
        if not self._is_busy:
            self._begin(now)

    def _begin(self, now: float) -> None:
        self._is_busy = True
        work_s = sum(work_s for work_s, _ in self._waiting)
        answers = [answered for _, answered in self._waiting]
        self._waiting.clear()
        self.busy_s += work_s + self.sync_s
        done = now + work_s if self.cores is None else self.cores.serve(now, work_s)
        self.clock.at(done + self.sync_s, lambda at: self._end(at, answers))

    def _end(self, now: float, answers: list[Event]) -> None:
        self._is_busy = False
        for answered in answers:
            answered(now)
        if self._waiting and not self._is_busy:
            self._begin(now)
