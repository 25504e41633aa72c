"""Any order of arrivals, replies, losses and time, against a model of what the coalescer promises.

The machine plays every thread by turns: `enqueue` is a request that arrives, `settle` without a wait is one whose
time is over, `resolve`, `fail_all` and `expire` are the reply thread. Nothing sleeps; the clock is the machine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from config.contracts import ScoreRow
from config.errors import BrokerUnavailable, Overloaded
from web.breaker import broker_lost
from web.coalescer import LATE_LIMIT, Coalescer, SizeCap, Waiter

LARGEST = 6


@dataclass
class Request:
    """One request as the machine knows it. `outcome`: how it ended; None while its thread still waits."""

    number: int
    waiter: Waiter
    expires_at: float
    outcome: str | None = None


@dataclass
class Sent:
    """One batch as it went over the wire."""

    batch_id: int
    numbers: list[int]
    cap: int
    at: float
    is_lost: bool = False


@dataclass
class Wire:
    """Keeps what was sent, and what was tried while it was broken."""

    machine: CoalescerMachine
    is_broken: bool = False
    sent: list[Sent] = field(default_factory=list)

    def __call__(self, batch_id: int, rows: Sequence[ScoreRow]) -> None:
        numbers = [int(row.transaction_id) for row in rows]
        self.machine.check_what_leaves(numbers)
        machine = self.machine
        self.sent.append(Sent(batch_id, numbers, int(machine.coalescer.cap.rows), machine.now, self.is_broken))
        if self.is_broken:
            raise broker_lost("the wire is broken")


class CoalescerMachine(RuleBasedStateMachine):
    """Every row is answered exactly once or times out; bounds hold; order is kept."""

    @initialize(capacity=st.integers(1, 8), limit=st.integers(1, 3), rows=st.floats(1, LARGEST))
    def start(self, capacity: int, limit: int, rows: float) -> None:
        self.now = 0.0
        self.capacity, self.limit = capacity, limit
        self.wire = Wire(self)
        self.requests: list[Request] = []
        self.observed: list[int] = []
        self.coalescer = Coalescer(
            self.wire,
            capacity=capacity,
            in_flight_limit=limit,
            cap=SizeCap(LARGEST, 0.1, rows=rows),
            observe=lambda rows, *seconds: self.observed.append(rows) if min(seconds) >= 0 else None,
            clock=lambda: self.now,
        )

    @rule(wait_s=st.floats(0.01, 5))
    def arrive(self, wait_s: float) -> None:
        """A request arrives: it has a place, or is refused at once since as many as may wait do wait."""
        number = len(self.requests)
        row = ScoreRow(str(number), "0" * 16, 0, 0, [])
        waiting = self.still_waiting()
        try:
            waiter = self.coalescer.enqueue(row, wait_s)
        except Overloaded:
            assert waiting == self.capacity, f"refused while only {waiting} of {self.capacity} wait"
            return
        self.requests.append(Request(number, waiter, self.now + wait_s))

    @rule(pick=st.integers(0, 7), seconds=st.floats(0, 0.3))
    def reply(self, pick: int, seconds: float) -> None:
        """A worker's answer comes back, in any order, sometimes late."""
        self.now += seconds
        out = sorted(self.coalescer._in_flight)
        if out:
            self.answer(out[pick % len(out)])

    @rule(pick=st.integers(0, 30))
    def reply_again(self, pick: int) -> None:
        """A batch that was answered, failed or given up is answered (once more): nothing changes."""
        settled = [sent.batch_id for sent in self.wire.sent if sent.batch_id not in self.coalescer._in_flight]
        if settled:
            before = list(self.observed)
            self.answer(settled[pick % len(settled)])
            assert self.observed == before

    def answer(self, batch_id: int) -> None:
        numbers = next(sent.numbers for sent in self.wire.sent if sent.batch_id == batch_id)
        self.coalescer.resolve(batch_id, [("N", b"%d" % number) for number in numbers])

    @rule(pick=st.integers(0, 7))
    def lose_one_batch(self, pick: int) -> None:
        """One batch fails."""
        out = sorted(self.coalescer._in_flight)
        if out:
            self.coalescer.fail(out[pick % len(out)], broker_lost("one batch"))

    @rule()
    def lose_the_broker(self) -> None:
        """Everybody is told at once."""
        self.coalescer.fail_all(broker_lost("all of them"))
        assert (self.coalescer.queued, self.coalescer.in_flight) == (0, 0)

    @rule()
    def break_or_mend_the_wire(self) -> None:
        self.wire.is_broken = not self.wire.is_broken

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        """Time passes. Requests whose time is over give up; then the reply thread looks for lost batches."""
        self.now += seconds
        self.give_up()
        self.coalescer.expire()

    @rule(seconds=st.floats(0, 3))
    def look_before_anyone_gave_up(self, seconds: float) -> None:
        """The same, the other way round: the reply thread is quicker than the threads that wait."""
        self.now += seconds
        self.coalescer.expire()
        self.give_up()

    def give_up(self) -> None:
        for request in self.requests:
            if request.outcome is None and request.expires_at <= self.now:
                self.settle(request)

    @precondition(lambda self: self.requests)
    @rule(pick=st.integers(0, 60))
    def wake(self, pick: int) -> None:
        """A request's thread runs once it was woken."""
        request = self.requests[pick % len(self.requests)]
        if request.outcome is None and is_woken(request.waiter):
            self.settle(request)

    def settle(self, request: Request) -> None:
        """What the request's thread sees."""
        try:
            answer = self.coalescer.settle(request.waiter, 0)
        except BrokerUnavailable:
            request.outcome = "failed"
            return
        if answer is None:
            assert request.expires_at <= self.now, "given up before its time"
            request.outcome = "timed out"
            return
        assert answer == ("N", b"%d" % request.number), "somebody else's answer"
        request.outcome = "answered"

    def check_what_leaves(self, numbers: list[int]) -> None:
        """Called for every batch when it is sent."""
        assert numbers, "an empty batch"
        assert numbers == sorted(numbers), "out of order"
        earlier = [number for sent in self.wire.sent for number in sent.numbers]
        assert not set(numbers) & set(earlier), "a row in two batches"
        assert not earlier or numbers[0] > max(earlier), "overtaken"
        for number in numbers:
            if number < len(self.requests):  # the one that is arriving right now is not in the list yet
                request = self.requests[number]
                assert request.outcome is None, f"sent although its request is over: {request.outcome}"
                assert request.expires_at > self.now, "sent after its deadline"

    def still_waiting(self) -> int:
        """Requests whose thread is still there."""
        return sum(one.outcome is None for one in self.requests)

    @invariant()
    def no_more_batches_are_out_than_may_be(self) -> None:
        since = self.now - self.coalescer.patience.limit_s
        late = sum(batch.sent_at < since for batch in self.coalescer._in_flight.values())
        assert self.coalescer.in_flight <= self.limit + LATE_LIMIT
        assert self.coalescer.in_flight - late <= self.limit

    @invariant()
    def no_more_requests_wait_than_may(self) -> None:
        assert self.coalescer.queued <= self.coalescer.held <= self.capacity
        assert self.coalescer.held == self.still_waiting()

    @invariant()
    def the_cap_stays_within_its_bounds_and_batches_within_the_cap(self) -> None:
        assert 1 <= self.coalescer.cap.rows <= LARGEST
        assert all(len(sent.numbers) <= max(1, sent.cap) for sent in self.wire.sent)

    @invariant()
    def nobody_waits_while_a_slot_is_free(self) -> None:
        alive = [waiter for waiter in self.coalescer._queue if waiter.expires_at > self.now]
        assert not alive or self.coalescer.in_flight >= self.limit

    @invariant()
    def every_request_is_waiting_or_out_or_answered_once_or_over(self) -> None:
        out = {id(waiter) for batch in self.coalescer._in_flight.values() for waiter in batch.waiters}
        queued = [id(waiter) for waiter in self.coalescer._queue]
        assert len(set(queued)) == len(queued)
        assert not out & set(queued)
        for request in self.requests:
            waiter = request.waiter
            assert waiter.answer is None or waiter.error is None
            is_told = waiter.answer is not None or waiter.error is not None
            is_held = id(waiter) in out or id(waiter) in queued
            assert not (is_told and is_held), "told, and still held"
            assert is_told or is_held or request.expires_at <= self.now, "forgotten"

    def teardown(self) -> None:
        """In the end everybody's thread gets away: told, or out of time."""
        if not hasattr(self, "requests"):
            return
        self.now += 10
        self.coalescer.expire()
        for request in self.requests:
            if request.outcome is None:
                self.settle(request)
        assert all(request.outcome for request in self.requests)
        assert self.coalescer.in_flight == 0


def is_woken(waiter: Waiter) -> bool:
    """Whether the thread of this request would run on."""
    return waiter.answer is not None or waiter.error is not None


TestCoalescerMachine = CoalescerMachine.TestCase
TestCoalescerMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def test_the_halves_of_submit_are_submit() -> None:
    coalescer = Coalescer(lambda *_: None, capacity=1, in_flight_limit=1, cap=SizeCap(8, 0.1))
    waiter = coalescer.enqueue(ScoreRow("1", "0" * 16, 0, 0, []), 5)
    coalescer.resolve(1, [("N", b"{}")])

    assert coalescer.settle(waiter, 0) == ("N", b"{}")
    lost = coalescer.enqueue(ScoreRow("2", "0" * 16, 0, 0, []), 5)
    coalescer.fail_all(broker_lost("test"))
    with pytest.raises(BrokerUnavailable):
        coalescer.settle(lost, 0)
