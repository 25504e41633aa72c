"""The coalescer: concurrent requests of one web process travel together in one Celery message.

A request that arrives while fewer than `k` batches are in flight is sent at once, by its own thread. Otherwise it
waits in a bounded queue, and whoever frees a slot (the reply thread) sends everything that has gathered, up to a
size cap. There is no artificial delay and no dispatcher thread: ADR 0010 has the measurement.

The cap follows the latency objective: it grows by a step while batches come back in time and shrinks by a tenth when
one does not (additive increase, multiplicative decrease; Crankshaw et al., "Clipper", NSDI 2017, section 4.3).

A batch that is out for three times as long as batches lately took has met a slow or a dead worker: it no longer counts
against k, so that the requests behind it go to another worker. ADR 0017 has the measurement.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from config.contracts import ScoreRow
from config.errors import Overloaded, TollgateError

PATIENCE = 3.0
PATIENCE_LEAST_S = 0.01
LATE_LIMIT = 4
"""How many late batches may be out beside the k that count: then it is not one worker that is slow."""

Send = Callable[[int, Sequence[ScoreRow]], None]
Observe = Callable[[int, float, float, float], None]
"""Called per answered batch: rows; seconds that its oldest row waited to be sent, until its answer, until all knew."""


@dataclass(slots=True, eq=False)
class Waiter:
    """One request that waits for its row. `answer` is `(status, decision bytes)` once the reply is there."""

    row: ScoreRow
    expires_at: float
    answer: tuple[str, bytes] | None = None
    error: TollgateError | None = None
    enqueued_at: float = 0.0
    _gate: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._gate.acquire()

    def wait(self, timeout_s: float) -> bool:
        """Block until answered or failed; False when `timeout_s` passed first."""
        return bool(self._gate.acquire(timeout=timeout_s))

    def release(self) -> None:
        """Wake the waiting thread. Call once."""
        self._gate.release()


@dataclass(slots=True)
class Batch:
    """A batch in flight. Its slot is free again at `expires_at` even if no reply ever comes."""

    waiters: list[Waiter]
    sent_at: float
    expires_at: float


@dataclass(slots=True)
class SizeCap:
    """The most rows that one batch may have, adapted to the latency objective."""

    largest: int
    objective_s: float
    rows: float = 32.0
    step: float = 4.0

    def record(self, latency_s: float) -> None:
        """Learn from one batch's round trip."""
        if latency_s > self.objective_s:
            self.rows = max(1.0, self.rows * 0.9)
        else:
            self.rows = min(float(self.largest), self.rows + self.step)


@dataclass(slots=True)
class Patience:
    """How long a batch may be out before it counts as late: a multiple of the median round trip of late.

    The median is followed by steps of 5%, up and down (Frugal-1U: Ma, Muthukrishnan, Sandler 2013), so the batches of
    a slow worker, as long as they are the fewer, do not move it.
    """

    median_s: float = 0.005

    def record(self, latency_s: float) -> None:
        """Learn from one batch's round trip."""
        self.median_s *= 1.05 if latency_s > self.median_s else 1 / 1.05

    @property
    def limit_s(self) -> float:
        """Seconds after which a batch is late."""
        return max(PATIENCE_LEAST_S, PATIENCE * self.median_s)


class Coalescer:
    """Holds at most `capacity` requests, at most `in_flight_limit` batches out, late ones not counted. Thread-safe.

    Replies are matched by batch id.
    """

    def __init__(
        self,
        send: Send,
        *,
        capacity: int,
        in_flight_limit: int,
        cap: SizeCap,
        observe: Observe | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._capacity = capacity
        self._in_flight_limit = in_flight_limit
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[Waiter] = deque()
        self._in_flight: dict[int, Batch] = {}
        self._held = 0
        self._next_batch = 0
        self.cap = cap
        self.patience = Patience()
        self._observe = observe

    def submit(self, row: ScoreRow, wait_s: float) -> tuple[str, bytes] | None:
        """The answer to `row` as `(status, decision JSON)`, or None when `wait_s` passed first.

        Raises:
            Overloaded: the queue is full; nothing was sent.
            BrokerUnavailable: the batch could not be sent, or the connection was lost while it was out.
        """
        return self.settle(self.enqueue(row, wait_s), wait_s)

    def enqueue(self, row: ScoreRow, wait_s: float) -> Waiter:
        """The first half of `submit`: take a place, and leave at once when a slot is free. Raises Overloaded."""
        now = self._clock()
        waiter = Waiter(row, expires_at=now + wait_s, enqueued_at=now)
        with self._lock:
            if self._held >= self._capacity:
                raise Overloaded(
                    f"{self._capacity} transactions are waiting in this process; try again in a second",
                    retry_after_s=1,
                )
            self._held += 1
            self._queue.append(waiter)
        self.dispatch()
        return waiter

    def settle(self, waiter: Waiter, timeout_s: float) -> tuple[str, bytes] | None:
        """The second half: wait for the answer, or give the place up. Raises what the row's batch failed with."""
        is_told = self._wait(waiter, timeout_s)
        self._leave(waiter, is_told=is_told)
        if not is_told:
            return None
        if waiter.error is not None:
            raise waiter.error
        return waiter.answer

    def dispatch(self) -> None:
        """Send waiting requests while slots are free. Called by submitters and by the reply thread."""
        while (taken := self._take()) is not None:
            batch_id, waiters = taken
            try:
                self._send(batch_id, [waiter.row for waiter in waiters])
            except TollgateError as error:
                self._tell(batch_id, error)

    def resolve(self, batch_id: int, answers: Sequence[tuple[str, bytes]]) -> None:
        """Wake the requests of a batch with their answers. A batch that is not in flight any more is ignored."""
        now = self._clock()
        with self._lock:
            batch = self._in_flight.pop(batch_id, None)
        if batch is None:
            return
        self.cap.record(now - batch.sent_at)
        self.patience.record(now - batch.sent_at)
        self.dispatch()
        for waiter, answer in zip(batch.waiters, answers, strict=True):
            waiter.answer = answer
            waiter.release()
        if self._observe is not None:
            waited_s = batch.sent_at - batch.waiters[0].enqueued_at
            self._observe(len(batch.waiters), waited_s, now - batch.sent_at, self._clock() - now)

    def fail(self, batch_id: int, error: TollgateError) -> None:
        """Wake the requests of a batch with an error, and send what waited for its slot."""
        self._tell(batch_id, error)
        self.dispatch()

    def fail_all(self, error: TollgateError) -> None:
        """Wake everybody, in flight or queued, with an error: the broker is gone."""
        with self._lock:
            batch_ids = list(self._in_flight)
            queued = list(self._queue)
            self._queue.clear()
        for batch_id in batch_ids:
            self._tell(batch_id, error)
        for waiter in queued:
            waiter.error = error
            waiter.release()

    def expire(self) -> int:
        """Free the slots of batches whose deadline is over and send what waited. Returns how many were freed."""
        now = self._clock()
        with self._lock:
            overdue = [key for key, batch in self._in_flight.items() if batch.expires_at <= now]
            for key in overdue:
                del self._in_flight[key]
        if overdue:
            self.dispatch()
        return len(overdue)

    @property
    def held(self) -> int:
        """Requests that wait here, sent or not."""
        return self._held

    @property
    def queued(self) -> int:
        """Requests that are not sent yet."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """Batches that are out."""
        return len(self._in_flight)

    def _tell(self, batch_id: int, error: TollgateError) -> None:
        with self._lock:
            batch = self._in_flight.pop(batch_id, None)
        for waiter in batch.waiters if batch else ():
            waiter.error = error
            waiter.release()

    def _wait(self, waiter: Waiter, timeout_s: float) -> bool:
        """Wait for the answer; once, in between, send what waits behind a batch that is late."""
        first_s = min(timeout_s, self.patience.limit_s)
        if waiter.wait(first_s):
            return True
        self.dispatch()
        return waiter.wait(timeout_s - first_s)

    def _leave(self, waiter: Waiter, *, is_told: bool) -> None:
        """Make room: whoever is answered or gave up must not keep others out."""
        with self._lock:
            self._held -= 1
            if not is_told:
                with suppress(ValueError):  # it may be out already, or just answered
                    self._queue.remove(waiter)

    def _slots_taken(self, now: float) -> int:
        since = now - self.patience.limit_s
        late = sum(batch.sent_at < since for batch in self._in_flight.values())
        return len(self._in_flight) - min(late, LATE_LIMIT)

    def _take(self) -> tuple[int, list[Waiter]] | None:
        """Claim a slot and the rows for it, or None when there is no slot or nobody waits."""
        now = self._clock()
        with self._lock:
            if self._slots_taken(now) >= self._in_flight_limit:
                return None
            limit = int(self.cap.rows)
            waiters: list[Waiter] = []
            while self._queue and len(waiters) < limit:
                waiter = self._queue.popleft()
                if waiter.expires_at > now:
                    waiters.append(waiter)
            if not waiters:
                return None
            self._next_batch += 1
            expires_at = max(waiter.expires_at for waiter in waiters)
            self._in_flight[self._next_batch] = Batch(waiters, now, expires_at)
            return self._next_batch, waiters
