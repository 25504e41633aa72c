"""In front of Flask: the one route that must be fast, and the end of requests whose body was not read.

`web.app` puts it around Flask; what it measures of its own route, `web.app` measures of Flask's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, Final

from config.errors import TollgateError
from config.log_context import REQUEST_ID, begin_request
from config.tracing import request_span
from web.answer import STATUS_LINES, Answer
from web.auth.door import Door
from web.auth.rights import SCORE_A_PAYMENT
from web.draining import DrainedBody, has_body
from web.identifiers import new_id
from web.metrics import WebMetrics
from web.problems import problem_answer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

Score = Callable[[dict[str, Any]], Answer]
"""Answers POST /predict from its WSGI environment."""

STARTED_AT: Final = "tollgate.started_at"
"""Where the WSGI environment says when the request came, on the clock of `time.perf_counter`."""
REQUEST_ID_HEADER: Final = "X-Request-Id"
_UNTRACED = ("/health", "/prometheus", "/static/")
"""What machines ask for every few seconds: of no interest to anybody who follows requests."""


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
            environ[STARTED_AT] = started_at
            if environ["PATH_INFO"].startswith(_UNTRACED):
                return self._through_flask(environ, start_response)
            # Named for its route once Flask has found it.
            with request_span(environ["REQUEST_METHOD"], environ.get("HTTP_TRACEPARENT")):
                return self._through_flask(environ, start_response)
        with request_span("POST /predict", environ.get("HTTP_TRACEPARENT")):
            answer = self._predict(environ)
        start_response(STATUS_LINES[answer.status], [*answer.headers, (REQUEST_ID_HEADER, request_id)])
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
