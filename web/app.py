"""The app factory: Flask with its blueprints, and what stands in front of it.

`create_app` opens nothing: gateway, ledger and validator are passed in, built and started by `web.wsgi`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from config.log_context import current_request
from config.schema.model import Schema
from config.settings import Settings
from config.tracing import rename_span
from ml.policy import Policy
from web.auth.access import Access
from web.auth.guard import guard
from web.blueprints import register_blueprints
from web.degradation import Degradation
from web.front_door import REQUEST_ID_HEADER, STARTED_AT, FrontDoor, Score
from web.limits.budgets import Budgets, are_requests_limited
from web.limits.store import LimitStore, MemoryLimitStore
from web.metrics import WebMetrics
from web.ports.batches import BatchGateway
from web.ports.gateway import ScoringGateway
from web.ports.idempotency import IdempotencyStore
from web.ports.ledger import DecisionLedger
from web.ports.models import ModelOperations
from web.ports.transactions import TransactionValidator
from web.problems import register_problems
from web.routes import UNMATCHED, route_names, route_of
from web.services import Services
from web.slots import TransferSlots
from web.slow_clients import SlowClients, Watched
from web.tenancy import keep_routes_apart

if TYPE_CHECKING:
    from web.limits.around import Limits


def create_app(
    settings: Settings,
    *,
    gateway: ScoringGateway,
    batches: BatchGateway,
    idempotency: IdempotencyStore,
    ledger: DecisionLedger,
    models: ModelOperations,
    schema: Schema,
    validator: TransactionValidator,
    access: Access,
    metrics: WebMetrics | None = None,
    policy: Policy | None = None,
    limits: LimitStore | None = None,
) -> Flask:
    """Build the web side around the given parts; `metrics` default to ones that live in this process only.

    `policy`: which client gets what when a score is late; by default every one what the setting says.
    `limits`: where requests are counted, if the settings say so; by default in this process.
    """
    from web.console.refusal import refused
    from web.views.predict import Predict  # views are imported here, so that importing this module is cheap

    metrics = metrics or WebMetrics()
    services = Services(
        settings=settings,
        gateway=gateway,
        batches=batches,
        idempotency=idempotency,
        ledger=ledger,
        models=models,
        schema=schema,
        validator=validator,
        access=access,
        metrics=metrics,
        # A client that sends its body slowly holds its thread until `SlowClients` ends it.
        bodies=TransferSlots(settings.web_threads, "bodies on their way in", share=0.5),
        uploads=TransferSlots(settings.web_threads, "uploads"),
        downloads=TransferSlots(settings.web_threads, "downloads"),
        degradation=Degradation.of(settings, policy or Policy()),
    )
    predict = Predict(services)
    app = _flask(services)
    register_blueprints(app, services, predict)
    guard(app, access.door, refused)
    keep_routes_apart(app)  # by whom the guard has found
    _measure_routes(app, metrics)
    _stand_in_front(app, services, predict, limits or MemoryLimitStore())
    return app


def _flask(services: Services) -> Flask:
    """Flask without a route."""
    app = Flask(__name__)
    # Of forms, which Flask reads by itself; views read bodies within limits of their own.
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.extensions["tollgate"] = services
    register_problems(app)
    return app


def _stand_in_front(app: Flask, services: Services, predict: Score, store: LimitStore) -> None:
    """Everything that a request passes before Flask; what is added last is passed first."""
    settings, metrics, door = services.settings, services.metrics, services.access.door
    drains = max(2, settings.web_threads // 2)
    around = _limits(app, settings, store, metrics)
    score = around.scores(predict) if around else predict
    app.wsgi_app = FrontDoor(app.wsgi_app, score, metrics, door=door, drains=drains)  # type: ignore[method-assign]
    if around:
        app.wsgi_app = around.credentials(app.wsgi_app)  # type: ignore[assignment,method-assign]
    # Longer than anybody waits for a score: what is older waits for a body, or works on a long one.
    slow_clients = SlowClients(max(settings.body_timeout_s, settings.max_wait_s + 1))
    app.extensions["tollgate.slow_clients"] = slow_clients
    app.wsgi_app = Watched(app.wsgi_app, slow_clients)  # type: ignore[method-assign]
    if settings.trusted_proxies:
        _believe_proxies(app, settings.trusted_proxies)


def _limits(app: Flask, settings: Settings, store: LimitStore, metrics: WebMetrics) -> Limits | None:
    """Count what Flask routes. Returns what goes around payments and credentials; None where nothing is limited."""
    if not are_requests_limited(settings):
        return None
    # flask-limiter takes 0.2 s to import, which a stack without limits is spared.
    from web.limits.around import Limits

    around = Limits(Budgets.of(settings), store, metrics)
    around.routes(app)
    return around


def _believe_proxies(app: Flask, proxies: int) -> None:
    """Take the client's address, scheme and host from what this many proxies in front say."""
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies
    )


def _measure_routes(app: Flask, metrics: WebMetrics) -> None:
    metrics.declare_endpoints([*route_names(app), UNMATCHED])

    @app.after_request
    def _observe(response: Response) -> Response:
        started_at = request.environ.get(STARTED_AT, time.perf_counter())
        route = route_of(request)
        rename_span(f"{request.method} {route}")
        metrics.observe_request(route, response.status_code, time.perf_counter() - started_at)
        response.headers[REQUEST_ID_HEADER] = current_request()
        return response
