"""What somebody is told who is not let in: people are led to the login, programs get a problem document."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from flask import Request, g, redirect
from werkzeug import Response as AnyResponse

from config.errors import TollgateError, Unauthenticated
from web.auth.guard import as_problem
from web.auth.next_path import HOME, local_path
from web.console.page import is_for_people, problem_page
from web.console.visitor import visitor_of

LOGIN: Final = f"{HOME}/login"
_ELSEWHERE: Final = ("/metrics",)
"""Pages for people outside the console that it links to."""


def refused(request: Request, error: TollgateError) -> AnyResponse:
    """See `web.auth.guard.Refusal`."""
    if not (_is_page(request.path) and is_for_people(request)):
        return as_problem(request, error)
    if isinstance(error, Unauthenticated):
        return redirect(login_path(request), 303)
    g.visitor = visitor_of(request)
    return problem_page(error)


def login_path(request: Request) -> str:
    """The login, that leads back to what was asked for; not to a change, which nobody asks for twice unknowing."""
    asked = request.full_path.removesuffix("?") if request.method in ("GET", "HEAD") else ""
    wanted = local_path(asked)
    return f"{LOGIN}?{urlencode({'next': wanted})}" if wanted and wanted != HOME else LOGIN


def _is_page(path: str) -> bool:
    return path == HOME or path.startswith(f"{HOME}/") or path in _ELSEWHERE
