"""Who looks at the console, and that a change was asked for by one of its own pages.

Who has signed in is known by name, and the page's token hangs on the session. Where nobody needs to, and before that,
a visitor is a random number in a cookie: enough to tell two reviewers apart and to guard changes, and no proof of
anything.
Views read `g.visitor` and know no cookie.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from secrets import token_hex
from typing import Final
from urllib.parse import urlsplit

from flask import Request, Response, g, request

from config.errors import CrossSiteRequest
from web.auth.cookies import is_https
from web.auth.principal import principal_of
from web.auth.session_way import session_in

COOKIE: Final = "tollgate_console"
TOKEN_HEADER: Final = "X-Tollgate-Token"  # noqa: S105  the name of a header
TOKEN_FIELD: Final = "token"  # noqa: S105  the name of a form's field
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_FORM: Final = "application/x-www-form-urlencoded"
_SECRET_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class Visitor:
    """`secret`: what the cookie holds; only this browser and this server know it. `name`: as the audit trail has it,
    empty where nobody shows credentials.
    """

    secret: str
    name: str = ""
    is_signed_in: bool = False

    @property
    def visitor_id(self) -> str:
        """A name for this visitor that others may see."""
        return self.name or _derived("visitor", self.secret)[:16]

    @property
    def token(self) -> str:
        """What a page of this visitor sends with every change. Another site can neither read nor make it."""
        return _derived("token", self.secret)


def visitor_of(request: Request) -> Visitor:
    """Who has signed in; else the visitor that the cookie names, or a new one."""
    principal = principal_of(request.environ)
    name = principal.name if principal.credential else ""
    session = session_in(request.environ)
    if session is not None:
        return Visitor(session, name, is_signed_in=True)
    secret = request.cookies.get(COOKIE, "")
    is_ours = len(secret) == _SECRET_LENGTH and secret.isalnum()
    return Visitor(secret if is_ours else token_hex(_SECRET_LENGTH // 2), name)


def meet_visitor() -> None:
    """Before every request of the console. Raises CrossSiteRequest."""
    g.visitor = visitor_of(request)
    if request.method not in _SAFE_METHODS:
        require_own_page(request, g.visitor)


def remember_visitor(response: Response) -> Response:
    """After every request of the console that got as far: the cookie, for as long as the browser runs."""
    if "visitor" in g and not g.visitor.is_signed_in and request.cookies.get(COOKIE) != g.visitor.secret:
        response.set_cookie(
            COOKIE,
            g.visitor.secret,
            path="/console",
            httponly=True,
            samesite="Strict",
            secure=is_https(request.environ),
        )
    return response


def require_own_page(request: Request, visitor: Visitor) -> None:
    """Pass when the browser says that the request comes from this site, and it carries the visitor's token.

    Raises CrossSiteRequest.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise CrossSiteRequest("the browser says that another site asked for this")
    origin = request.headers.get("Origin")
    # The host alone: a proxy in front may have ended TLS, so that the scheme differs.
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise CrossSiteRequest(f"the request comes from {origin[:80]!r}, not from {request.host!r}")
    if not compare_digest(_token_in(request), visitor.token):
        raise CrossSiteRequest("the page is of an earlier visit; load it again")


def _token_in(request: Request) -> str:
    sent = request.headers.get(TOKEN_HEADER)
    if sent is None and request.mimetype == _FORM:
        sent = request.form.get(TOKEN_FIELD)
    return (sent or "").encode("ascii", "replace").decode()


def _derived(purpose: str, secret: str) -> str:
    return sha256(f"tollgate console {purpose} {secret}".encode()).hexdigest()
