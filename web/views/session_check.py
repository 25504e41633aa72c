"""GET /session/check: may this request go on to a page that the proxy guards? The proxy asks about each of them.

What the proxy says of the request (`X-Forwarded-*`) names the page; who asks is known from the door, as everywhere.
deploy/traefik/access.yml names what is guarded so; Tollgate's own routes are not, they have their own door.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from flask import Blueprint, Request, Response, redirect, request
from werkzeug.wrappers import Response as WsgiResponse

from config.errors import CrossSiteRequest, Forbidden, Unauthenticated
from web.auth.principal import DEFAULT_TENANT, Principal, Scope, principal_of
from web.services import Services

PAGES: Final[Mapping[str, Scope]] = {
    "grafana": "read",
    "prometheus": "operate",
    "alertmanager": "operate",
    "mlflow": "operate",
}
"""First label of a page's host -> the scope that opens it. They show every tenant's figures."""
USER_HEADER: Final = "X-Auth-Request-User"
_LOGIN: Final = "https://tollgate.{domain}/console/login?{query}"


def session_check_blueprint(services: Services) -> Blueprint:
    """The route of this module."""
    blueprint = Blueprint("session_check", __name__)
    domain = services.settings.public_domain

    @blueprint.get("/session/check")
    def get_session_check() -> WsgiResponse:
        page = page_of(request.headers.get("X-Forwarded-Host", ""), domain)
        principal = principal_of(request.environ)
        if principal.credential:
            require_right(principal, page)
            _require_own_site(request)
            return Response(status=204, headers={USER_HEADER: printable(principal.name)})
        if page and _is_browser(request):
            return redirect(_login(request, domain), code=302)
        # Also where nobody is asked for credentials (TOLLGATE_AUTH=off): then Tollgate can vouch for nobody.
        raise Unauthenticated("show a key, a token or a session that opens this page")

    return blueprint


def page_of(host: str, domain: str) -> str:
    """The page that `host` leads to; empty when it is none of this installation's.

    >>> page_of("grafana.example.com:443", "example.com"), page_of("grafana.evil.com", "example.com")
    ('grafana', '')
    """
    label, _, rest = host.partition(":")[0].lower().partition(".")
    return label if domain and rest == domain.lower() and label in PAGES else ""


def require_right(principal: Principal, page: str) -> None:
    """Pass when the page may be shown to them. Raises Forbidden."""
    scope = PAGES.get(page)
    if scope is None:
        raise Forbidden("no page of this installation is at this address")
    if not principal.may(scope) or principal.tenant != DEFAULT_TENANT:
        raise Forbidden(f"{page} needs the scope {scope} of the tenant {DEFAULT_TENANT}; {principal.name} has it not")


def printable(name: str) -> str:
    """A name as a header can carry it."""
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in name)


def _require_own_site(request: Request) -> None:
    """Pass what a page of the same host asked for, a person did, or a program. Raises CrossSiteRequest."""
    is_safe = request.headers.get("X-Forwarded-Method", "GET") in ("GET", "HEAD", "OPTIONS")
    if not is_safe and request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise CrossSiteRequest("the browser says that another site asked for this")


def _is_browser(request: Request) -> bool:
    """Whether a person sees the answer: a page was asked for, not a part of one, a script's data or a form's end."""
    headers = request.headers
    return headers.get("X-Forwarded-Method", "GET") == "GET" and "text/html" in headers.get("Accept", "")


def _login(request: Request, domain: str) -> str:
    place = request.headers["X-Forwarded-Host"] + request.headers.get("X-Forwarded-Uri", "/")
    return _LOGIN.format(domain=domain, query=urlencode({"next": f"https://{place}"}))
