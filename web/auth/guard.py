"""Puts the door in front of every route of the app; a route that the table of rights does not know cannot be served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from flask import Flask, Request, request
from werkzeug import Response as AnyResponse

from config.errors import TollgateError
from web.auth.door import Door
from web.auth.rights import RECOGNISED, RIGHTS, Right
from web.problems import as_response, problem_answer
from web.routes import route_name

Refusal = Callable[[Request, TollgateError], AnyResponse]
"""What somebody who is not let in is told."""

_Served = Mapping[tuple[str, str], Right]
_ALIKE: Final = {"HEAD": "GET"}


def as_problem(request: Request, error: TollgateError) -> AnyResponse:  # noqa: ARG001  see `Refusal`
    """A problem document, whoever asks."""
    return as_response(problem_answer(error))


def guard(app: Flask, door: Door, refusal: Refusal = as_problem) -> None:
    """Ask at the door before anything else is done for a request, and before anything is told: also of what is not
    there, of methods that a route has not.

    Raises KeyError: a route is not in the table of rights.
    """
    rights = rights_of(app)

    @app.before_request
    def _admit() -> AnyResponse | None:
        try:
            door.admit(request.environ, right_of(request, rights))
        except TollgateError as error:
            return refusal(request, error)
        return None


def right_of(request: Request, rights: _Served) -> Right:
    """What a request must hold. Of what is not served only those who are recognised are told."""
    if request.url_rule is None:
        return RECOGNISED
    return rights.get((request.url_rule.rule, _ALIKE.get(request.method, request.method)), RECOGNISED)


def rights_of(app: Flask) -> _Served:
    """The right of every rule and method that `app` serves. Raises KeyError."""
    return {
        (rule.rule, method): RIGHTS[f"{method} {route_name(rule.rule)}"]
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
