"""The app factory: Flask with its blueprints, and in front of it the one route that must be fast.

`create_app` opens nothing: gateway, ledger and validator are passed in, built and started by `web.wsgi`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from config.errors import TollgateError
from config.log_context import REQUEST_ID, begin_request, current_request
from config.schema.model import Schema
from config.settings import Settings
from config.tracing import rename_span, request_span
from ml.policy import Policy
from web.answer import STATUS_LINES, Answer
from web.auth.access import Access
from web.auth.door import Door
from web.auth.guard import guard
from web.auth.rights import SCORE_A_PAYMENT
from web.degradation import Degradation
from web.draining import DrainedBody, has_body
from web.identifiers import new_id
from web.limits.budgets import Budgets, are_requests_limited
from web.limits.store import LimitStore, MemoryLimitStore
from web.metrics import WebMetrics
from web.ports import (
    BatchGateway,
    DecisionLedger,
    IdempotencyStore,
    ModelOperations,
    ScoringGateway,
    TransactionValidator,
)
from web.problems import problem_answer, register_problems
from web.routes import UNMATCHED, route_names, route_of
from web.services import Services
from web.slots import TransferSlots
from web.slow_clients import SlowClients, Watched
from web.tenancy import keep_routes_apart

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

    from web.limits.around import Limits
    from web.views.predict import Predict

Score = Callable[[dict[str, Any]], Answer]
"""Answers POST /predict from its WSGI environment."""

_STARTED_AT = "tollgate.started_at"
_REQUEST_ID_HEADER = "X-Request-Id"
_UNTRACED = ("/health", "/prometheus", "/static/")
"""What machines ask for every few seconds: of no interest to anybody who follows requests."""


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
    app = Flask(__name__)
    # Of forms, which Flask reads by itself; views read bodies within limits of their own.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.extensions["tollgate"] = services
    register_problems(app)
    predict = Predict(services)
    _register_blueprints(app, services, predict)
    guard(app, access.door, refused)
    keep_routes_apart(app)  # by whom the guard has found
    _measure_routes(app, metrics)
    drains = max(2, settings.web_threads // 2)
    around = _limits(app, settings, limits or MemoryLimitStore(), metrics)
    score = around.scores(predict) if around else predict
    app.wsgi_app = FrontDoor(app.wsgi_app, score, metrics, door=access.door, drains=drains)  # type: ignore[method-assign]
    if around:
        app.wsgi_app = around.credentials(app.wsgi_app)  # type: ignore[assignment,method-assign]
    # Longer than anybody waits for a score: what is older waits for a body, or works on a long one.
    slow_clients = SlowClients(max(settings.body_timeout_s, settings.max_wait_s + 1))
    app.extensions["tollgate.slow_clients"] = slow_clients
    app.wsgi_app = Watched(app.wsgi_app, slow_clients)  # type: ignore[method-assign]
    if settings.trusted_proxies:
        _believe_proxies(app, settings.trusted_proxies)
    return app


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


def _register_blueprints(app: Flask, services: Services, predict: Predict) -> None:
    from web.console.blueprint import console_blueprint
    from web.console.sign_in import sign_in_pages
    from web.views.batches import batches_blueprint
    from web.views.dead_letters import dead_letters_blueprint
    from web.views.decisions import decisions_blueprint
    from web.views.drift import drift_blueprint
    from web.views.feedback import feedback_blueprint
    from web.views.health import health_blueprint
    from web.views.keys import keys_blueprint
    from web.views.metrics import metrics_blueprint
    from web.views.model_jobs import model_jobs_blueprint
    from web.views.models import models_blueprint
    from web.views.pages import pages_blueprint
    from web.views.predict import predict_blueprint
    from web.views.quality import quality_blueprint
    from web.views.reviews import reviews_blueprint
    from web.views.session_check import session_check_blueprint
    from web.views.thresholds import thresholds_blueprint

    app.register_blueprint(predict_blueprint(services, predict))
    for make in (
        batches_blueprint,
        feedback_blueprint,
        health_blueprint,
        metrics_blueprint,
        models_blueprint,
        model_jobs_blueprint,
        decisions_blueprint,
        quality_blueprint,
        thresholds_blueprint,
        dead_letters_blueprint,
        reviews_blueprint,
        drift_blueprint,
        keys_blueprint,
        session_check_blueprint,
        pages_blueprint,
        console_blueprint,
        sign_in_pages,
    ):
        app.register_blueprint(make(services))


def _measure_routes(app: Flask, metrics: WebMetrics) -> None:
    metrics.declare_endpoints([*route_names(app), UNMATCHED])

    @app.after_request
    def _observe(response: Response) -> Response:
        started_at = request.environ.get(_STARTED_AT, time.perf_counter())
        route = route_of(request)
        rename_span(f"{request.method} {route}")
        metrics.observe_request(route, response.status_code, time.perf_counter() - started_at)
        response.headers[_REQUEST_ID_HEADER] = current_request()
        return response


class FrontDoor:
    """Answers POST /predict before Flask sees it, and reads on from clients that still send after an error.

    An empty Flask route takes 75 us of CPU per request in contexts, routing and signals; this takes 4
    (`python -m tests.benchmarks.front_door`, ADR 12). Everything else goes through Flask unchanged.
    """

    def __init__(self, inner: WSGIApplication, predict: Score, metrics: WebMetrics, *, door: Door, drains: int) -> None:
        self._inner = inner
        self._predict = _Guarded(predict, door)
        self._observe = metrics.observe_request
        self._pulse = metrics.pulse.observe
        self._drains = BoundedSemaphore(drains)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        started_at = time.perf_counter()
        request_id = _request_id(environ)
        begin_request(request_id)
        if environ["PATH_INFO"] != "/predict" or environ["REQUEST_METHOD"] != "POST":
            environ[_STARTED_AT] = started_at
            if environ["PATH_INFO"].startswith(_UNTRACED):
                return self._through_flask(environ, start_response)
            # Named for its route once Flask has found it.
            with request_span(environ["REQUEST_METHOD"], environ.get("HTTP_TRACEPARENT")):
                return self._through_flask(environ, start_response)
        with request_span("POST /predict", environ.get("HTTP_TRACEPARENT")):
            answer = self._predict(environ)
        start_response(STATUS_LINES[answer.status], [*answer.headers, (_REQUEST_ID_HEADER, request_id)])
        took_s = time.perf_counter() - started_at
        self._observe("/predict", answer.status, took_s)
        self._pulse(answer.status, took_s)
        chunks = [answer.body]
        return DrainedBody(chunks, environ, self._drains) if answer.must_drain else chunks

    def _through_flask(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        chunks = self._inner(environ, start_response)
        return DrainedBody(chunks, environ, self._drains) if has_body(environ) else chunks


class _Guarded:
    """POST /predict behind the door: who is not let in is told before the body is read."""

    def __init__(self, predict: Score, door: Door) -> None:
        self._predict = predict
        self._admit = door.admit

    def __call__(self, environ: dict[str, Any]) -> Answer:
        """The answer to one request."""
        try:
            self._admit(environ, SCORE_A_PAYMENT)
        except TollgateError as error:
            return problem_answer(error)
        return self._predict(environ)


def _request_id(environ: dict[str, Any]) -> str:
    """What the client calls its request, or an id of our own: for the logs, so a bad one is no error."""
    sent: str | None = environ.get("HTTP_X_REQUEST_ID")
    return sent if sent and REQUEST_ID.fullmatch(sent) else new_id()
