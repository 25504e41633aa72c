"""The cookies of people who sign in. Over https their names begin with `__Host-`: no other host and no page that came
by http can set or overwrite them.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from flask import Request
from werkzeug import Response
from werkzeug.http import parse_cookie

from config.errors import InsecureConnection
from config.loopback import is_loopback

SESSION: Final = "tollgate_session"
SIGN_IN: Final = "tollgate_sign_in"
"""While the issuer is asked."""


def cookie_in(environ: dict[str, Any], name: str) -> str:
    """What a cookie of ours holds; empty when there is none."""
    return parse_cookie(environ.get("HTTP_COOKIE", "")).get(_named(name, is_https(environ)), "")


def set_cookie(response: Response, request: Request, name: str, content: str, *, max_age_s: int | None = None) -> None:
    """Give a browser a cookie, for as long as it runs or `max_age_s`.

    Lax, not Strict: a browser that comes back from the issuer, or by a link in a message, brings it. What changes
    something needs the page's token as well.
    """
    is_secure = is_https(request.environ)
    response.set_cookie(
        _named(name, is_secure), content, path="/", httponly=True, secure=is_secure, samesite="Lax", max_age=max_age_s
    )


def drop_cookie(response: Response, request: Request, name: str) -> None:
    """Take a cookie back."""
    set_cookie(response, request, name, "", max_age_s=0)


def is_https(environ: dict[str, Any]) -> bool:
    """Whether a request came by https, here or at a proxy that is trusted (TOLLGATE_TRUSTED_PROXIES)."""
    return environ.get("wsgi.url_scheme") == "https"


def require_safe_way(environ: dict[str, Any]) -> None:
    """Pass when nobody on the way can read a key or a cookie: by https, from this machine, or from a browser that was
    told to ask its own (a published port of a container, a tunnel): nobody makes it say so of another.

    Raises InsecureConnection.
    """
    is_near = is_loopback(environ.get("REMOTE_ADDR", "")) or is_loopback(_host_in(environ))
    if not is_near and not is_https(environ):
        raise InsecureConnection(
            "signing in needs https; behind a proxy that ends TLS, TOLLGATE_TRUSTED_PROXIES says how many to believe"
        )


def _host_in(environ: dict[str, Any]) -> str:
    try:
        return urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname or ""
    except ValueError:
        # A bracket that nothing closes: no browser asks so.
        return ""


def _named(name: str, is_secure: bool) -> str:
    return f"__Host-{name}" if is_secure else name
