"""Every error as RFC 9457 problem+json: ours, Flask's own, and crashes."""

from __future__ import annotations

import json
import math
from typing import Any, Final
from uuid import uuid4

import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from config.errors import (
    AuthUnavailable,
    BodyTooLarge,
    CrossSiteRequest,
    Forbidden,
    RateLimited,
    TollgateError,
    Unauthenticated,
    UnsupportedMediaType,
)
from web.answer import PROBLEM_JSON, Answer, json_answer

_log = structlog.get_logger("tollgate.web")

UNKNOWN_ROUTE: Final = "unknown_route"
METHOD_NOT_ALLOWED: Final = "method_not_allowed"
BAD_REQUEST: Final = "bad_request"
_DETAILS: Final = {
    404: "no route has this path; GET /openapi.json lists them",
    405: "this route has other methods; Allow names them",
}
_AT_THE_DOOR: Final = (Unauthenticated, Forbidden, AuthUnavailable, CrossSiteRequest)
_BEFORE_BODY: Final = (BodyTooLarge, RateLimited, UnsupportedMediaType, *_AT_THE_DOOR)
_CHALLENGE: Final = 'Bearer realm="tollgate"'


def problem(
    status: int, code: str, title: str, detail: str, *, instance: str, extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The members of a problem document; `errors` is always there, empty unless `extra` brings some."""
    return {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "errors": [],
        **(extra or {}),
    }


def new_instance() -> str:
    """A name for this occurrence, also written to the log when the server is to blame."""
    return f"urn:uuid:{uuid4()}"


def retry_after(seconds: float | None) -> tuple[str, str]:
    """The Retry-After header: whole seconds, at least 1."""
    return "Retry-After", str(max(1, math.ceil(seconds or 1)))


def problem_answer(error: TollgateError, *, extra: dict[str, Any] | None = None) -> Answer:
    """The answer for an error that Tollgate can name."""
    fields = [{"pointer": e.pointer, "code": e.code, "message": e.message} for e in error.errors]
    document = problem(
        error.status,
        error.code,
        error.title,
        error.detail,
        instance=new_instance(),
        extra={"errors": fields, **(extra or {})},
    )
    must_wait = error.status in (429, 503) or error.retry_after_s is not None
    headers = [retry_after(error.retry_after_s)] if must_wait else []
    headers += _challenge(error)
    answer = json_answer(error.status, _encode(document), *headers, content_type=PROBLEM_JSON)
    return answer._replace(must_drain=isinstance(error, _BEFORE_BODY))


def _challenge(error: TollgateError) -> list[tuple[str, str]]:
    """WWW-Authenticate, as RFC 6750 wants it: how to show a key or token, or what is wrong with the one shown."""
    if isinstance(error, Forbidden):
        return [("WWW-Authenticate", f'{_CHALLENGE}, error="insufficient_scope"')]
    if isinstance(error, Unauthenticated):
        wrong = ', error="invalid_token"' if error.is_shown else ""
        return [("WWW-Authenticate", f"{_CHALLENGE}{wrong}")]
    return []


def crash_answer(error: BaseException, *, path: str) -> Answer:
    """The answer for a bug: nothing of its inside goes out; the log has it once, under the same instance."""
    instance = new_instance()
    _log.error("request crashed", path=path, instance=instance, exc_info=error)
    detail = "something unexpected happened; the log has it under this instance"
    document = problem(500, TollgateError.code, TollgateError.title, detail, instance=instance)
    return json_answer(500, _encode(document), content_type=PROBLEM_JSON)


def http_answer(error: HTTPException) -> Answer:
    """The answer for an error that Flask or Werkzeug raised itself: an unknown route, a wrong method."""
    status = error.code or 500
    codes = {400: BAD_REQUEST, 404: UNKNOWN_ROUTE, 405: METHOD_NOT_ALLOWED, 413: BodyTooLarge.code}
    code = codes.get(status, error.name.lower().replace(" ", "_"))
    detail = _DETAILS.get(status) or error.description or error.name
    document = problem(status, code, error.name, detail, instance=new_instance())
    headers = []
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers.append(("Allow", ", ".join(sorted(error.valid_methods))))
    return json_answer(status, _encode(document), *headers, content_type=PROBLEM_JSON)


def as_response(answer: Answer) -> Response:
    """The same answer as a Flask response."""
    return Response(answer.body, status=answer.status, headers=answer.headers)


def register_problems(app: Flask) -> None:
    """Let `app` answer every error as a problem."""

    @app.errorhandler(TollgateError)
    def _named(error: TollgateError) -> Response:
        return as_response(problem_answer(error))

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        return as_response(http_answer(error))

    @app.errorhandler(Exception)
    def _crash(error: Exception) -> Response:
        return as_response(crash_answer(error, path=request.path))


def _encode(document: dict[str, Any]) -> bytes:
    # ASCII escapes: a lone surrogate that a client sent must not break the answer that complains about it.
    return json.dumps(document).encode("ascii")
