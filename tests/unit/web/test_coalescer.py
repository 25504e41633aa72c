"""The coalescer's promises: at once when idle, together when busy, bounded, nobody forgotten."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts import ScoreRow
from config.errors import BrokerUnavailable, Overloaded
from web.breaker import broker_lost
from web.coalescer import LATE_LIMIT, PATIENCE, Coalescer, Patience, SizeCap, Waiter


def make_row(number: int) -> ScoreRow:
    return ScoreRow(f"t{number}", "0" * 16, 0, 0, [])


class Wire:
    """Keeps what was sent; fails when told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, list[str]]] = []
        self.is_broken = False

    def __call__(self, batch_id: int, rows: Sequence[ScoreRow]) -> None:
        if self.is_broken:
            raise broker_lost("test")
        self.sent.append((batch_id, [row.transaction_id for row in rows]))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make(wire: Wire, *, capacity: int = 100, limit: int = 1, clock: Clock | None = None) -> Coalescer:
    return Coalescer(wire, capacity=capacity, in_flight_limit=limit, cap=SizeCap(64, 0.1), clock=clock or Clock())


def queue_waiter(coalescer: Coalescer, number: int, expires_at: float = 10.0) -> Waiter:
    waiter = Waiter(make_row(number), expires_at)
    coalescer._queue.append(waiter)
    return waiter


def test_an_idle_coalescer_sends_at_once_and_returns_the_answer() -> None:
    wire = Wire()
    answers: list[object] = []
    coalescer = make(wire)
    thread = threading.Thread(target=lambda: answers.append(coalescer.submit(make_row(1), 5)))
    thread.start()
    while not wire.sent:
        pass

    coalescer.resolve(wire.sent[0][0], [("N", b"{}")])
    thread.join(5)

    assert answers == [("N", b"{}")]
    assert coalescer.in_flight == 0


def test_requests_that_arrive_while_a_batch_is_out_travel_together() -> None:
    wire = Wire()
    coalescer = make(wire)
    queue_waiter(coalescer, 0)
    coalescer.dispatch()
    for number in (1, 2, 3):
        queue_waiter(coalescer, number)
        coalescer.dispatch()
    assert [ids for _, ids in wire.sent] == [["t0"]]

    coalescer.resolve(wire.sent[0][0], [("N", b"{}")])

    assert [ids for _, ids in wire.sent] == [["t0"], ["t1", "t2", "t3"]]


def test_past_capacity_the_answer_is_a_refusal_at_once_with_a_time_to_come_back() -> None:
    coalescer = make(Wire(), capacity=2)
    for number in range(2):  # one is out, one waits
        coalescer.enqueue(make_row(number), 5)
    assert (coalescer.in_flight, coalescer.queued, coalescer.held) == (1, 1, 2)

    with pytest.raises(Overloaded) as refused:
        coalescer.submit(make_row(9), 1)

    assert refused.value.retry_after_s == 1


def test_a_deadline_that_passes_returns_none_and_the_row_is_not_sent_later() -> None:
    wire = Wire()
    coalescer = make(wire)
    queue_waiter(coalescer, 0)
    coalescer.dispatch()

    assert coalescer.submit(make_row(1), 0.001) is None
    coalescer.resolve(wire.sent[0][0], [("N", b"{}")])

    assert [ids for _, ids in wire.sent] == [["t0"]]


def test_a_lost_reply_does_not_block_the_dispatcher_for_longer_than_its_batch_may_take() -> None:
    wire, clock = Wire(), Clock()
    coalescer = make(wire, clock=clock)
    queue_waiter(coalescer, 0, expires_at=1.0)
    coalescer.dispatch()
    queue_waiter(coalescer, 1, expires_at=9.0)
    coalescer.dispatch()
    assert len(wire.sent) == 1

    clock.now = 1.5

    assert coalescer.expire() == 1
    assert [ids for _, ids in wire.sent] == [["t0"], ["t1"]]


def test_a_late_reply_of_an_expired_batch_changes_nothing() -> None:
    wire, clock = Wire(), Clock()
    coalescer = make(wire, clock=clock)
    queue_waiter(coalescer, 0, expires_at=1.0)
    coalescer.dispatch()
    clock.now = 2.0
    coalescer.expire()

    coalescer.resolve(wire.sent[0][0], [("N", b"{}")])

    assert coalescer.in_flight == 0


def test_a_late_batch_gives_its_slot_up_and_is_answered_all_the_same() -> None:
    wire, clock = Wire(), Clock()
    coalescer = make(wire, clock=clock)
    slow = queue_waiter(coalescer, 0)
    coalescer.dispatch()
    queue_waiter(coalescer, 1)
    coalescer.dispatch()
    assert len(wire.sent) == 1, "not late yet"

    clock.now += coalescer.patience.limit_s * 1.01
    coalescer.dispatch()

    assert [rows for _, rows in wire.sent] == [["t0"], ["t1"]]
    coalescer.resolve(1, [("N", b"0")])
    assert slow.wait(0)


def test_when_every_batch_is_late_only_a_few_more_are_sent() -> None:
    wire, clock = Wire(), Clock()
    coalescer = make(wire, clock=clock)
    for number in range(LATE_LIMIT + 5):
        queue_waiter(coalescer, number)
        coalescer.dispatch()
        clock.now += coalescer.patience.limit_s * 1.01

    assert coalescer.in_flight == 1 + LATE_LIMIT


def test_a_request_behind_a_slow_batch_sends_itself() -> None:
    wire = Wire()
    coalescer = Coalescer(wire, capacity=100, in_flight_limit=1, cap=SizeCap(64, 0.1))
    queue_waiter(coalescer, 0, expires_at=float("inf"))
    coalescer.dispatch()

    assert coalescer.submit(make_row(1), 0.1) is None, "nobody answers here"

    assert [rows for _, rows in wire.sent] == [["t0"], ["t1"]]


def test_the_batches_of_one_slow_worker_do_not_make_the_others_wait_longer() -> None:
    patience = Patience()
    for number in range(1000):
        patience.record(0.5 if number % 4 == 0 else 0.004)

    assert patience.limit_s < 3 * PATIENCE * 0.004


def test_a_send_that_fails_tells_every_row_of_the_batch_and_frees_the_slot() -> None:
    wire = Wire()
    wire.is_broken = True
    coalescer = make(wire)

    with pytest.raises(BrokerUnavailable):
        coalescer.submit(make_row(1), 5)

    assert coalescer.in_flight == 0


def test_when_the_broker_is_lost_nobody_waits_for_a_time_out() -> None:
    wire = Wire()
    coalescer = make(wire)
    out, queued = queue_waiter(coalescer, 0), queue_waiter(coalescer, 1)
    coalescer.cap.rows = 1
    coalescer.dispatch()

    coalescer.fail_all(broker_lost("test"))

    for waiter in (out, queued):
        assert waiter.wait(0)
        assert isinstance(waiter.error, BrokerUnavailable)


def test_a_request_that_gave_up_leaves_its_place_to_others() -> None:
    coalescer = make(Wire(), capacity=2)
    coalescer.enqueue(make_row(0), 5)
    coalescer.settle(coalescer.enqueue(make_row(1), 5), 0)

    coalescer.enqueue(make_row(2), 5)

    assert (coalescer.queued, coalescer.held) == (1, 2)


def test_a_request_that_was_answered_makes_room() -> None:
    wire = Wire()
    coalescer = make(wire, capacity=1)
    waiter = coalescer.enqueue(make_row(0), 5)
    coalescer.resolve(wire.sent[0][0], [("N", b"{}")])

    assert coalescer.settle(waiter, 1) == ("N", b"{}")

    assert coalescer.held == 0


def test_when_a_batch_fails_what_waited_for_its_slot_is_sent() -> None:
    wire = Wire()
    coalescer = make(wire)
    coalescer.enqueue(make_row(0), 5)
    coalescer.enqueue(make_row(1), 5)

    coalescer.fail(wire.sent[0][0], broker_lost("test"))

    assert [ids for _, ids in wire.sent] == [["t0"], ["t1"]]


@given(st.lists(st.floats(0, 1), max_size=200))
def test_the_size_cap_stays_between_one_and_its_largest(latencies: list[float]) -> None:
    cap = SizeCap(largest=128, objective_s=0.1)
    for latency in latencies:
        cap.record(latency)
        assert 1 <= cap.rows <= 128
