"""The way of people: the cookie of a session."""

from __future__ import annotations

from typing import Any, Final

from web.auth.cookies import SESSION, cookie_in
from web.auth.principal import Principal
from web.auth.sessions import SECRET_LENGTH, Sessions

_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_CONSOLE: Final = "/console/"
_ENVIRON: Final = "tollgate.session"


class SessionWay:
    """Recognises a session where a page of another site can do no harm with it.

    A browser sends cookies by itself. So they open what changes nothing, and the console, whose guard asks for the
    page's token (`web.console.visitor`); anything else wants a key or token in a header.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def __call__(self, environ: dict[str, Any]) -> Principal | None:
        """See `web.auth.door.Way`."""
        if environ["REQUEST_METHOD"] not in _SAFE_METHODS and not environ["PATH_INFO"].startswith(_CONSOLE):
            return None
        secret = cookie_in(environ, SESSION)
        if len(secret) != SECRET_LENGTH:
            return None
        principal = self._sessions.find(secret)
        if principal is not None:
            environ[_ENVIRON] = secret
        return principal


def session_in(environ: dict[str, Any]) -> str | None:
    """The secret of the session that a request came in by; None when it came another way."""
    return environ.get(_ENVIRON)
