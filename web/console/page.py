"""How a page of the console is made: its template, its navigation, the policy that keeps every other host out."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from flask import Request, Response, g, render_template, request

from config.errors import TollgateError
from web.answer import json_answer
from web.auth.principal import principal_of
from web.console.allowed import may_use, pages_for
from web.problems import as_response, problem_answer

CONTENT_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; form-action 'self'; frame-ancestors 'none';"
    " base-uri 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def page(template: str, *, here: str, status: int = 200, **values: Any) -> Response:
    """Render `templates/console/{template}`. `here`: the name of the page in the navigation."""
    frame = {
        "here": here,
        "navigation": pages_for(principal_of(request.environ)),
        "token": g.visitor.token,
        "visitor": g.visitor,
        "can": can,
    }
    text = render_template(f"console/{template}", **frame, **values)
    return Response(text, status=status, mimetype="text/html", headers=_HEADERS)


def fragment(template: str, **values: Any) -> Response:
    """A part of a page, for a script that puts it into its place."""
    return Response(render_template(f"console/{template}", can=can, **values), mimetype="text/html", headers=_HEADERS)


def can(route: str) -> bool:
    """Whether who asks may use a route (`POST /console/models/rollback`): what would be refused is not shown."""
    return may_use(principal_of(request.environ), route)


def data(body: Any, status: int = 200) -> Response:
    """What a page's script reads, as JSON."""
    return as_response(json_answer(status, msgspec.json.encode(body), ("Cache-Control", "no-store")))


def problem_page(error: TollgateError) -> Response:
    """An error as a page for people who came with a browser, as a problem document for scripts."""
    if not is_for_people(request):
        return as_response(problem_answer(error))
    return page("problem.html", here="", status=error.status, problem=error)


def is_for_people(request: Request) -> bool:
    """Whether a browser asks for something to show, and not a script or program for JSON."""
    return request.accept_mimetypes.best_match(("application/json", "text/html")) == "text/html"


def wants_page() -> bool:
    """Whether a form was sent by a browser itself, that must be shown a page, and not by a script."""
    return request.mimetype == "application/x-www-form-urlencoded"
