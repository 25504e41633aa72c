"""Puts the door in front of every route of the app; a route that the table of rights does not know cannot be served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Flask, Request, Response, request

from config.errors import TollgateError
from web.auth.door import Door
from web.auth.rights import RECOGNISED, RIGHTS, Right
from web.problems import as_response, problem_answer
from web.routes import route_name

_Served = Mapping[tuple[str, str], Right]
_ALIKE: Final = {"HEAD": "GET"}


def guard(app: Flask, door: Door) -> None:
    """Ask at the door before anything else is done for a request, and before anything is told: also of what is not
    there, of methods that a route has not.

    Raises KeyError: a route is not in the table of rights.
    """
    rights = rights_of(app)
    if door.is_open:
        return

    @app.before_request
    def _admit() -> Response | None:
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


def refusal(request: Request, error: TollgateError) -> Response:  # noqa: ARG001  a page for browsers goes by it
    """What somebody who is not let in is told: a problem document."""
    return as_response(problem_answer(error))


def rights_of(app: Flask) -> _Served:
    """The right of every rule and method that `app` serves. Raises KeyError."""
    return {
        (rule.rule, method): RIGHTS[f"{method} {route_name(rule.rule)}"]
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
