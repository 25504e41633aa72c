"""The app factory: Flask with its blueprints, and in front of it the one route that must be fast.

`create_app` opens nothing: gateway, ledger and validator are passed in, built and started by `web.wsgi`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from config.errors import TollgateError
from config.log_context import REQUEST_ID, begin_request, current_request
from config.schema.model import Schema
from config.settings import Settings
from config.tracing import request_span
from ml.policy import Policy
from web.answer import STATUS_LINES, Answer
from web.auth.access import Access
from web.auth.door import Door
from web.auth.guard import guard
from web.auth.rights import SCORE_A_PAYMENT
from web.degradation import Degradation
from web.draining import DrainedBody, has_body
from web.identifiers import new_id
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

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

    from web.views.predict import Predict

_STARTED_AT = "tollgate.started_at"
_REQUEST_ID_HEADER = "X-Request-Id"


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
) -> Flask:
    """Build the web side around the given parts; `metrics` default to ones that live in this process only.

    `policy`: which client gets what when a score is late; by default every one what the setting says.
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
        # A client that sends a body slowly holds its thread: granian has no time limit for that.
        bodies=TransferSlots(settings.web_threads, "bodies on their way in", share=0.5),
        uploads=TransferSlots(settings.web_threads, "uploads"),
        downloads=TransferSlots(settings.web_threads, "downloads"),
        degradation=Degradation.of(settings, policy or Policy()),
    )
    app = Flask(__name__)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.extensions["tollgate"] = services
    register_problems(app)
    predict = Predict(services)
    _register_blueprints(app, services, predict)
    guard(app, access.door, refused)
    _measure_routes(app, metrics)
    drains = max(2, settings.web_threads // 2)
    app.wsgi_app = FrontDoor(app.wsgi_app, predict, metrics, door=access.door, drains=drains)  # type: ignore[method-assign]
    return app


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
        metrics.observe_request(route_of(request), response.status_code, time.perf_counter() - started_at)
        response.headers[_REQUEST_ID_HEADER] = current_request()
        return response


class FrontDoor:
    """Answers POST /predict before Flask sees it, and reads on from clients that still send after an error.

    An empty Flask route takes 75 us of CPU per request in contexts, routing and signals; this takes 4
    (`python -m tests.benchmarks.front_door`, ADR 12). Everything else goes through Flask unchanged.
    """

    def __init__(
        self, inner: WSGIApplication, predict: Predict, metrics: WebMetrics, *, door: Door, drains: int
    ) -> None:
        self._inner = inner
        self._predict = predict if door.is_open else _Guarded(predict, door)
        self._observe = metrics.observe_request
        self._pulse = metrics.pulse.observe
        self._drains = BoundedSemaphore(drains)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        started_at = time.perf_counter()
        request_id = _request_id(environ)
        begin_request(request_id)
        if environ["PATH_INFO"] != "/predict" or environ["REQUEST_METHOD"] != "POST":
            environ[_STARTED_AT] = started_at
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

    def __init__(self, predict: Predict, door: Door) -> None:
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
