"""The event loop of the load generator: many connections, one process, a few microseconds a request."""

from __future__ import annotations

import itertools
import select
import selectors
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

from deploy.bench.connection import Connection, ConnectionLostError
from deploy.bench.pace import Pace
from deploy.bench.tally import Tally
from deploy.bench.wire import MalformedResponseError, Response, Target

SWEEP_S = 0.1
OPEN_GAP_S = 0.01  # connections open one after another, so that no server process accepts them all
REST_S = 0.05  # how long a connection rests after a failure, so that a dead server is not hammered
READ_WRITE = selectors.EVENT_READ | selectors.EVENT_WRITE


class Engine:
    """Drives `connections` connections to one target through one run.

    `run` may be called once. Memory is bounded by the requests of the run: 8 bytes a sample.
    """

    def __init__(self, target: Target, requests: Sequence[bytes], *, connections: int, timeout_s: float) -> None:
        self._requests: Iterator[bytes] = itertools.cycle(requests)
        self._timeout_s = timeout_s
        self._selector = selectors.DefaultSelector()
        self._connections = tuple(Connection(target) for _ in range(connections))
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._resting: deque[tuple[float, Connection]] = deque()

    def run(self, pace: Pace, tally: Tally, *, on_open: Callable[[], None], on_close: Callable[[], None]) -> None:
        """Send as `pace` says and count in `tally`; returns when the window is over and drained.

        `on_open` and `on_close` are called at the two ends of the window (to read CPU counters).
        """
        self._plan_opening(tally.opens_at)
        self._loop_until(tally.opens_at, pace, tally)
        on_open()
        self._loop_until(tally.closes_at, pace, tally)
        on_close()
        self._drain(pace, tally)
        for connection in self._connections:
            connection.close()
        self._selector.close()

    def _plan_opening(self, window_opens_at: float) -> None:
        """Spread the opening over at most the first half of the warm-up."""
        now = perf_counter()
        gap_s = min(OPEN_GAP_S, max(0.0, window_opens_at - now) / 2 / len(self._connections))
        self._resting.extend((now + n * gap_s, connection) for n, connection in enumerate(self._connections))

    def _loop_until(self, end: float, pace: Pace, tally: Tally) -> None:
        next_sweep = 0.0
        while (now := perf_counter()) < end:
            if now >= next_sweep:
                next_sweep = self._sweep(now, tally)
            self._dispatch(pace, tally)
            self._wait(min(next_sweep, end, pace.next_at() if self._idle else end), pace, tally)

    def _drain(self, pace: Pace, tally: Tally) -> None:
        """Wait for what is on its way, then age what was never sent or never answered."""
        closed_at = perf_counter()
        while (due_at := pace.take(tally.closes_at)) is not None and due_at < tally.closes_at:
            tally.leave_unsent(due_at, closed_at)
        while self._busy and (now := perf_counter()) < closed_at + self._timeout_s:
            self._wait(self._sweep(now, tally), pace, tally)
        for connection in self._busy:
            tally.time_out(connection.due_at, perf_counter())

    def _dispatch(self, pace: Pace, tally: Tally) -> None:
        while self._idle and (due_at := pace.take(now := perf_counter())) is not None:
            self._send(self._idle.popleft(), tally, due_at=due_at, now=now)

    def _wait(self, until: float, pace: Pace, tally: Tally) -> None:
        # epoll counts in milliseconds, too coarse for a timetable: select() on its descriptor is finer.
        wait_s = max(0.0, until - perf_counter())
        if not select.select([self._selector], [], [], wait_s)[0]:
            return
        for key, events in self._selector.select(0):
            self._handle(key.data, events, pace, tally)

    def _handle(self, connection: Connection, events: int, pace: Pace, tally: Tally) -> None:
        try:
            response = connection.receive() if events & selectors.EVENT_READ else None
            if response is None and connection.wants_write:
                self._flush(connection)
            if response is not None and connection not in self._busy:
                raise MalformedResponseError("an answer that nobody asked for")
        except (ConnectionLostError, MalformedResponseError) as error:
            self._fail(connection, error, tally)
            return
        if response is not None:
            self._finish(connection, response, pace, tally)

    def _finish(self, connection: Connection, response: Response, pace: Pace, tally: Tally) -> None:
        """Count the answer and send the next request that is due on the same connection."""
        now = perf_counter()
        tally.answer(response.status, connection.due_at, now)
        if not response.keep_alive or connection.wants_write:
            self._busy.discard(connection)
            self._selector.unregister(connection)
            self._reopen(connection)
            self._idle.append(connection)
        elif (due_at := pace.take(now)) is not None:
            self._send(connection, tally, due_at=due_at, now=now)
        else:
            self._busy.discard(connection)
            self._idle.append(connection)

    def _send(self, connection: Connection, tally: Tally, *, due_at: float, now: float) -> None:
        self._busy.add(connection)
        try:
            connection.send(next(self._requests), due_at=due_at, now=now)
        except ConnectionLostError as error:
            self._fail(connection, error, tally)
            return
        if connection.wants_write:
            self._selector.modify(connection, READ_WRITE, connection)

    def _flush(self, connection: Connection) -> None:
        connection.flush()
        if not connection.wants_write:
            self._selector.modify(connection, selectors.EVENT_READ, connection)

    def _fail(self, connection: Connection, error: Exception, tally: Tally) -> None:
        """Count the loss, if a request was on the connection, and let the connection rest."""
        reason = str(error) if isinstance(error, ConnectionLostError) else "malformed"
        if connection in self._busy:
            tally.lose(reason, connection.due_at, perf_counter())
            self._busy.discard(connection)
        elif connection in self._idle:
            self._idle.remove(connection)
        self._rest(connection)

    def _rest(self, connection: Connection) -> None:
        self._selector.unregister(connection)
        connection.close()
        self._resting.append((perf_counter() + REST_S, connection))

    def _sweep(self, now: float, tally: Tally) -> float:
        """Give up on requests older than the timeout, wake rested connections; when to come back."""
        for connection in [c for c in self._busy if c.sent_at + self._timeout_s < now]:
            tally.time_out(connection.due_at, now)
            self._busy.discard(connection)
            self._rest(connection)
        while self._resting and self._resting[0][0] <= now:
            connection = self._resting.popleft()[1]
            self._reopen(connection)
            self._idle.append(connection)
        return min(now + SWEEP_S, self._resting[0][0]) if self._resting else now + SWEEP_S

    def _reopen(self, connection: Connection) -> None:
        connection.open()
        self._selector.register(connection, READ_WRITE, connection)
