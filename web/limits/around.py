"""Puts the limits around the application: before Flask, in it, and around what answers 401."""

from __future__ import annotations

from flask import Flask

from web.limits.budgets import Budgets
from web.limits.door import FailedCredentials, ScoreLimits
from web.limits.leases import Leases
from web.limits.routes import limit_routes
from web.limits.store import LimitStore
from web.metrics import WebMetrics


def limit_app(app: Flask, budgets: Budgets, store: LimitStore, metrics: WebMetrics) -> ScoreLimits:
    """Count every request of `app` in `store`. Returns what lets payments through, for the door before Flask."""
    leases = Leases(store, on_skip=metrics.count_limits_skipped)
    limit_routes(app, budgets, store, metrics)
    if budgets.credentials:
        failed = FailedCredentials(app.wsgi_app, budgets.credentials, leases, metrics)
        app.wsgi_app = failed  # type: ignore[method-assign]
    return ScoreLimits(budgets, leases, metrics)
