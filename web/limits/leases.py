"""Budgets spent in slices: a process takes a hundredth of a budget from Redis at a time and spends it by itself.

So a request costs a look into a dictionary, and one in a hundredth of the budget costs a round trip. What a process
took and did not spend is lost for that window: with n processes a budget may end n hundredths early, never late.
Budgets below 200 are counted one by one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from limits import RateLimitItem

from web.limits.budgets import BudgetName
from web.limits.standing import Standing
from web.limits.store import LimitStore

SLICES: Final = 100
CLIENTS_MAX: Final = 10_000
"""Counters that one process remembers. When there are more, those whose window is over go, then all of them."""


class Leases:
    """The slices that this process holds. Thread-safe."""

    def __init__(
        self, store: LimitStore, *, on_skip: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._on_skip = on_skip
        self._clock = clock
        self._held: dict[str, _Lease] = {}

    def take(self, budget: BudgetName, rate: RateLimitItem, rate_text: str, client: str) -> Standing | None:
        """Spend one of the client's budget. None when it could not be counted: let it through."""
        counter = rate.key_for(client, budget)
        lease = self._held.get(counter) or self._hold(counter)
        with lease.lock:
            now = self._clock()
            is_due = now >= lease.ends_at or (lease.left == 0 and lease.total < rate.amount)
            if is_due and not self._renew(lease, counter, rate, now):
                self._on_skip()
                return None
            is_spent = lease.left == 0
            if not is_spent:
                lease.left -= 1
            remaining = max(0, rate.amount - lease.total) + lease.left
            return Standing(budget, rate_text, rate.amount, remaining, lease.ends_at - now, is_spent)

    def is_spent(self, budget: BudgetName, rate: RateLimitItem, client: str) -> float | None:
        """For how many seconds a budget is known to be used up; None when it is not. Spends and asks nothing."""
        lease = self._held.get(rate.key_for(client, budget))
        if lease is None:
            return None
        left_s = lease.ends_at - self._clock()
        return left_s if left_s > 0 and lease.left == 0 and lease.total >= rate.amount else None

    def _renew(self, lease: _Lease, counter: str, rate: RateLimitItem, now: float) -> bool:
        asked = max(1, rate.amount // SLICES)
        counted = self._store.add(counter, asked, rate.get_expiry())
        if counted is None:
            return False
        lease.left = max(0, min(asked, rate.amount - (counted.total - asked)))
        lease.total = counted.total
        lease.ends_at = now + counted.ends_in_s
        return True

    def _hold(self, counter: str) -> _Lease:
        if len(self._held) >= CLIENTS_MAX:
            now = self._clock()
            running = {name: lease for name, lease in [*self._held.items()] if lease.ends_at > now}
            self._held = running if len(running) < CLIENTS_MAX else {}
        return self._held.setdefault(counter, _Lease())


class _Lease:
    __slots__ = ("ends_at", "left", "lock", "total")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.left = 0
        self.total = 0
        self.ends_at = 0.0
