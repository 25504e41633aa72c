"""How a page of the console is made: its template, its navigation, the policy that keeps every other host out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from flask import Response, g, render_template, request

from config.errors import TollgateError
from config.tenants import DEFAULT_TENANT
from web.answer import json_answer
from web.console.navigation import NAVIGATION, Link
from web.problems import as_response, problem_answer
from web.tenancy import OWN_DATA, tenant_at

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
    text = render_template(f"console/{template}", here=here, navigation=_open_pages(), token=g.visitor.token, **values)
    return Response(text, status=status, mimetype="text/html", headers=_HEADERS)


def _open_pages() -> Sequence[Link]:
    """The pages that show the visitor's tenant something of its own."""
    if tenant_at(request.environ) == DEFAULT_TENANT:
        return NAVIGATION
    return [link for link in NAVIGATION if link.path in OWN_DATA and link.name != "overview"]


def fragment(template: str, **values: Any) -> Response:
    """A part of a page, for a script that puts it into its place."""
    return Response(render_template(f"console/{template}", **values), mimetype="text/html", headers=_HEADERS)


def data(body: Any, status: int = 200) -> Response:
    """What a page's script reads, as JSON."""
    return as_response(json_answer(status, msgspec.json.encode(body), ("Cache-Control", "no-store")))


def problem_page(error: TollgateError) -> Response:
    """An error as a page for people who came with a browser, as a problem document for scripts."""
    if request.accept_mimetypes.best_match(("application/json", "text/html")) != "text/html":
        return as_response(problem_answer(error))
    return page("problem.html", here="", status=error.status, problem=error)


def wants_page() -> bool:
    """Whether a form was sent by a browser itself, that must be shown a page, and not by a script."""
    return request.mimetype == "application/x-www-form-urlencoded"
