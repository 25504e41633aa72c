"""GET /session/check: may this request go on to a page that the proxy guards? The proxy asks about each of them.

What the proxy says of the request (`X-Forwarded-*`) names the page. Programs show their key, which the door has looked
at; browsers bring the page's own cookie. One without it is led to GET /console/pass at Tollgate's host, past the login
where needed, and comes back with a code that becomes the cookie (`web.auth.passes`).

deploy/traefik/access.yml names what is guarded so; Tollgate's own routes are not, they have their own door.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from flask import Blueprint, Request, Response, redirect, request
from werkzeug import Response as AnyResponse

from config.errors import CrossSiteRequest, Forbidden, Unauthenticated
from config.tenants import DEFAULT_TENANT
from web.auth.passes import Passes
from web.auth.principal import Principal, Scope, principal_of
from web.auth.session_way import session_in
from web.query import parse_query
from web.services import Services

PAGES: Final[Mapping[str, Scope]] = {
    "grafana": "read",
    "prometheus": "operate",
    "alertmanager": "operate",
    "mlflow": "operate",
}
"""First label of a page's host -> the scope that opens it. They show every tenant's figures."""
USER_HEADER: Final = "X-Auth-Request-User"
COOKIE: Final = "__Host-tollgate_pass"
_CODE: Final = re.compile(r"[?&]tollgate_pass=([0-9a-f]{64})$")
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")


def session_check_blueprint(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("session_check", __name__)
    domain, passes = services.settings.public_domain, services.access.passes

    @blueprint.get("/session/check")
    def get_session_check() -> AnyResponse:
        page = page_of(request.headers.get("X-Forwarded-Host", ""), domain)
        principal = _who_asks(passes, page)
        if principal is not None:
            require_right(principal, page)
            _require_own_site(request)
            return Response(status=204, headers={USER_HEADER: printable(principal.name)})
        if page and passes is not None and _is_browser(request):
            return _with_cookie(passes, page) or redirect(_to_pass(page, domain), 302)
        # Also where nobody is asked for credentials (TOLLGATE_AUTH=off): then Tollgate can vouch for nobody.
        raise Unauthenticated("show a key or a token that opens this page")

    @blueprint.get("/console/pass")
    def get_pass() -> AnyResponse:
        wanted = parse_query(request.query_string.decode("latin-1"), ("page", "to"))
        page, to = wanted.get("page", ""), wanted.get("to", "/")
        require_right(principal_of(request.environ), page if domain else "")
        secret = session_in(request.environ)
        if passes is None or secret is None or not to.startswith("/") or not to.isprintable():
            raise Forbidden("a pass is for somebody who is signed in, and for a place on one of the pages")
        code = passes.hand_over(secret, page)
        return redirect(f"https://{page}.{domain}{to}{'&' if '?' in to else '?'}tollgate_pass={code}", 302)

    return blueprint


def page_of(host: str, domain: str) -> str:
    """The page that `host` leads to; empty when it is none of this installation's.

    >>> page_of("grafana.example.com:443", "example.com"), page_of("grafana.evil.com", "example.com")
    ('grafana', '')
    >>> page_of("grafana.example.com:443@evil.com", "example.com")
    ''
    """
    name, colon, port = host.partition(":")
    label, _, rest = name.lower().partition(".")
    is_ours = bool(domain) and rest == domain.lower() and label in PAGES
    return label if is_ours and (not colon or port.isdecimal()) else ""


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


def _who_asks(passes: Passes | None, page: str) -> Principal | None:
    """Who shows a key or token, or whose browser has the page's cookie."""
    principal = principal_of(request.environ)
    if principal.credential:
        return principal
    secret = request.cookies.get(COOKIE, "")
    return passes.find(secret, page) if passes is not None and page and secret else None


def _with_cookie(passes: Passes, page: str) -> AnyResponse | None:
    """Back to the same place without the code, with the cookie; None where there is no good code."""
    place = request.headers.get("X-Forwarded-Uri", "/")
    code = _CODE.search(place)
    secret = passes.redeem(code[1], page) if code is not None else None
    if code is None or secret is None:
        return None
    response = redirect(f"https://{request.headers['X-Forwarded-Host']}{place[: code.start()]}", 302)
    response.set_cookie(COOKIE, secret, path="/", httponly=True, secure=True, samesite="Lax")
    return response


def _to_pass(page: str, domain: str) -> str:
    """Where a browser gets its code; what it came with that is good no more is left behind."""
    place = _CODE.sub("", request.headers.get("X-Forwarded-Uri", "/"))
    return f"https://tollgate.{domain}/console/pass?{urlencode({'page': page, 'to': place})}"


def _require_own_site(request: Request) -> None:
    """Pass what a page of the same host asked for, a person did, or a program. Raises CrossSiteRequest."""
    is_safe = request.headers.get("X-Forwarded-Method", "GET") in _SAFE_METHODS
    if not is_safe and request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise CrossSiteRequest("the browser says that another site asked for this")


def _is_browser(request: Request) -> bool:
    """Whether a person sees the answer: a page was asked for, not a part of one, a script's data or a form's end."""
    headers = request.headers
    return headers.get("X-Forwarded-Method", "GET") == "GET" and "text/html" in headers.get("Accept", "")
