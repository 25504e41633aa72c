"""Limits of everything that Flask routes, by flask-limiter: one round trip a budget.

POST /predict is counted before Flask (`web.limits.door`), in the same counters where both draw on one budget.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, cast

from flask import Flask, Response, request
from flask_limiter import ApplicationLimit, Limiter, RateLimitExceeded, RequestLimit
from limits.storage import Storage

from web.limits.budgets import BudgetName, Budgets, budget_of, by_address, client_in
from web.limits.standing import Standing, limited_answer, tightest
from web.limits.store import Counted, LimitStore
from web.metrics import WebMetrics
from web.problems import as_response
from web.routes import UNMATCHED

_NOTES_MAX: Final = 8


class StoreOfLimits(Storage):
    """A `LimitStore` as `limits` asks for one. `limits` looks at a counter twice after it has counted; what the count
    said is noted per thread, so that only the count goes to Redis.
    """

    STORAGE_SCHEME: Final = ["tollgate"]  # type: ignore[misc]

    def __init__(self, uri: str, *, store: LimitStore, on_skip: Callable[[], None], **_: Any) -> None:
        super().__init__(uri)
        self._store = store
        self._on_skip = on_skip
        self._thread = threading.local()

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """None: a store lets through instead of raising."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count; 0, which is below every limit, when that failed."""
        counted = self._store.add(key, amount, expiry)
        notes = self._notes()
        if counted is None:
            notes.pop(key, None)
            self._on_skip()
            return 0
        if len(notes) >= _NOTES_MAX:
            notes.clear()
        notes[key] = counted
        return counted.total

    def note(self, key: str) -> Counted | None:
        """What this thread's last count of a counter said; None when it could not be counted."""
        return self._notes().get(key)

    def get(self, key: str) -> int:
        """As noted."""
        counted = self.note(key)
        return counted.total if counted else 0

    def get_expiry(self, key: str) -> float:
        """Unix seconds, as noted."""
        counted = self.note(key)
        return time.time() + (counted.ends_in_s if counted else 0)

    def check(self) -> bool:
        """A store that fails lets through; it is never taken out of use."""
        return True

    def reset(self) -> int | None:
        """None is cleared: budgets come back by themselves when their windows end."""
        return 0

    def clear(self, key: str) -> None:
        """Forget what this thread noted; the budget comes back by itself when its window ends."""
        self._notes().pop(key, None)

    def _notes(self) -> dict[str, Counted]:
        if not hasattr(self._thread, "notes"):
            self._thread.notes = {}
        return cast("dict[str, Counted]", self._thread.notes)


def limit_routes(app: Flask, budgets: Budgets, store: LimitStore, metrics: WebMetrics) -> None:
    """Count every request that Flask routes, tell how the tightest budget stands, answer 429 when one is used up."""
    limiter = Limiter(
        lambda: client_in(request.environ),
        application_limits=[
            _limit(
                lambda: budgets.rate(_budget()), lambda: client_in(request.environ), lambda _: _budget() or UNMATCHED
            ),
            _limit(
                lambda: budgets.address if _budget() else "", lambda: by_address(request.environ), lambda _: "address"
            ),
        ],
        # A path without a route costs something too.
        request_identifier=lambda: request.endpoint or UNMATCHED,
        storage_uri="tollgate://",
        storage_options=cast("dict[str, str | int]", {"store": store, "on_skip": metrics.count_limits_skipped}),
        headers_enabled=False,  # flask-limiter would put Retry-After on every answer, where a 202 has its own
    )
    limiter.logger.setLevel(logging.WARNING)  # a line for each refusal would let a flood fill the log; they are counted
    limiter.init_app(app)

    @app.errorhandler(RateLimitExceeded)
    def _refused(_: RateLimitExceeded) -> Response:
        standing = cast("Standing", tightest(_standings(limiter, budgets)))  # what was refused was counted
        metrics.count_limited(standing.budget)
        return as_response(limited_answer(standing))

    @app.after_request
    def _tell(response: Response) -> Response:
        standing = tightest(_standings(limiter, budgets)) if response.status_code != 429 else None
        response.headers.extend(standing.headers() if standing else [])
        return response


def _limit(rate: Callable[[], str], client: Callable[[], str], budget: Callable[[str], str]) -> ApplicationLimit:
    return ApplicationLimit(limit_provider=rate, key_function=client, scope=budget)


def _budget() -> BudgetName | None:
    return budget_of(request.endpoint or UNMATCHED)


def _standings(limiter: Limiter, budgets: Budgets) -> list[Standing]:
    storage = cast("StoreOfLimits", limiter.storage)
    found = (_standing(one, storage.note(one.key), budgets) for one in limiter.current_limits)
    return [one for one in found if one is not None]


def _standing(used: RequestLimit, counted: Counted | None, budgets: Budgets) -> Standing | None:
    if counted is None:
        return None
    budget = cast("BudgetName", used.request_args[-1])
    remaining = max(0, used.limit.amount - counted.total)
    return Standing(budget, budgets.rate(budget), used.limit.amount, remaining, counted.ends_in_s, used.breached)
