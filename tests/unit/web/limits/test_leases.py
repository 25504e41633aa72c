"""Budgets spent in slices: never more than the budget, whatever the number of processes; few looks at the store."""

from __future__ import annotations

import pytest
from limits import parse

from web.limits.leases import CLIENTS_MAX, Leases
from web.limits.store import MemoryLimitStore

RATE = "1000/second"


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryLimitStore:
    return MemoryLimitStore(clock)


def process(store: MemoryLimitStore, clock: Clock, skipped: list[int] | None = None) -> Leases:
    """The leases of one web process."""
    return Leases(store, on_skip=lambda: (skipped if skipped is not None else []).append(1), clock=clock)


def spend(leases: Leases, times: int, client: str = "key:a", rate: str = RATE) -> int:
    """How many of so many requests are let through."""
    standings = [leases.take("score", parse(rate), rate, client) for _ in range(times)]
    return sum(standing is None or not standing.is_spent for standing in standings)


def test_a_process_alone_lets_exactly_the_budget_through_and_asks_once_in_ten(
    store: MemoryLimitStore, clock: Clock
) -> None:
    leases = process(store, clock)

    assert spend(leases, 3000) == 1000
    assert store.asked == 100, "a used-up budget is known without asking"


def test_four_processes_together_never_pass_the_budget_and_lose_a_slice_each_at_most(
    store: MemoryLimitStore, clock: Clock
) -> None:
    processes = [process(store, clock) for _ in range(4)]

    passed = sum(spend(leases, 7) for _ in range(60) for leases in processes)

    assert passed == 1000


def test_a_small_budget_is_counted_one_by_one(store: MemoryLimitStore, clock: Clock) -> None:
    first, second = process(store, clock), process(store, clock)

    assert [spend(leases, 1, rate="3/minute") for leases in (first, second, first, second, first)] == [1, 1, 1, 0, 0]


def test_a_budget_is_there_again_when_its_window_is_over(store: MemoryLimitStore, clock: Clock) -> None:
    leases = process(store, clock)
    assert spend(leases, 4, rate="3/minute") == 3

    clock.now = 59.9
    assert spend(leases, 1, rate="3/minute") == 0
    clock.now = 60.0
    assert spend(leases, 4, rate="3/minute") == 3


def test_the_standing_says_limit_remaining_and_seconds(store: MemoryLimitStore, clock: Clock) -> None:
    leases = process(store, clock)
    clock.now = 5.0
    first = leases.take("score", parse("3/minute"), "3/minute", "key:a")
    clock.now = 15.5
    last = [leases.take("score", parse("3/minute"), "3/minute", "key:a") for _ in range(3)][-1]

    assert first is not None
    assert dict(first.headers()) == {
        "RateLimit-Limit": "3",
        "RateLimit-Remaining": "2",
        "RateLimit-Reset": "60",
    }
    assert last is not None
    assert (last.is_spent, last.remaining, last.resets_in_s) == (True, 0, 49.5)


def test_clients_do_not_spend_each_others_budgets(store: MemoryLimitStore, clock: Clock) -> None:
    leases = process(store, clock)

    assert spend(leases, 5, "key:a", "3/minute") == 3
    assert spend(leases, 5, "key:b", "3/minute") == 3


def test_while_nobody_counts_everybody_is_let_through_and_that_is_counted(
    store: MemoryLimitStore, clock: Clock
) -> None:
    skipped: list[int] = []
    leases = process(store, clock, skipped)
    store.is_down = True
    assert spend(leases, 20, rate="3/minute") == 20
    assert len(skipped) == 20

    store.is_down = False
    assert spend(leases, 20, rate="3/minute") == 3


def test_only_so_many_clients_are_remembered(store: MemoryLimitStore, clock: Clock) -> None:
    leases = process(store, clock)
    for number in range(CLIENTS_MAX + 10):
        spend(leases, 1, f"address:{number}", "1/minute")

    assert len(leases._held) <= CLIENTS_MAX
    assert spend(leases, 1, f"address:{CLIENTS_MAX}", "1/minute") == 0, "what was forgotten is still counted"
