"""Every problem that a client can meet: code, status, title, meaning. OpenAPI and pages list them."""

from __future__ import annotations

from inspect import isclass

import msgspec

from config import errors
from web.problems import BAD_REQUEST, METHOD_NOT_ALLOWED, UNKNOWN_ROUTE


class ProblemType(msgspec.Struct, frozen=True):
    """One kind of problem; its page is /problems/{code}."""

    code: str
    status: int
    title: str
    description: str


_OF_HTTP = (
    ProblemType(UNKNOWN_ROUTE, 404, "Not Found", "No route has this path. GET /openapi.json lists them."),
    ProblemType(METHOD_NOT_ALLOWED, 405, "Method Not Allowed", "The route exists; Allow names its methods."),
    ProblemType(BAD_REQUEST, 400, "Bad Request", "The request cannot be read as HTTP."),
)
_NOT_OVER_HTTP = (errors.SchemaInvalid, errors.SettingInvalid)


def catalogue() -> tuple[ProblemType, ...]:
    """All of them, by status, then code. The description is the error's docstring."""
    named = [
        ProblemType(error.code, error.status, error.title, (error.__doc__ or "").strip())
        for error in vars(errors).values()
        if isclass(error) and issubclass(error, errors.TollgateError) and error not in _NOT_OVER_HTTP
    ]
    return tuple(sorted([*named, *_OF_HTTP], key=lambda problem: (problem.status, problem.code)))
