"""Puts the limits around the application: in Flask, before it, and around what answers 401."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask

from web.answer import Answer
from web.limits.budgets import Budgets
from web.limits.door import FailedCredentials, LimitedScores
from web.limits.leases import Leases
from web.limits.routes import limit_routes
from web.limits.store import LimitStore
from web.metrics import WebMetrics

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Limits:
    """One set of budgets, counted in one store. Who asks must be known (`web.auth.principal`) before it counts."""

    def __init__(self, budgets: Budgets, store: LimitStore, metrics: WebMetrics) -> None:
        self._budgets = budgets
        self._store = store
        self._metrics = metrics
        self._leases = Leases(store, on_skip=metrics.count_limits_skipped)

    def routes(self, app: Flask) -> None:
        """Count every request that Flask routes, before its view is called."""
        limit_routes(app, self._budgets, self._store, self._metrics)

    def scores(self, score: Callable[[dict[str, Any]], Answer]) -> LimitedScores:
        """The same answers as `score`, within the budgets."""
        return LimitedScores(score, self._budgets, self._leases, self._metrics)

    def credentials(self, inner: WSGIApplication) -> WSGIApplication:
        """The same application, where wrong credentials draw on a budget."""
        rate = self._budgets.credentials
        return FailedCredentials(inner, rate, self._leases, self._metrics) if rate else inner
