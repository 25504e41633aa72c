"""Passes: how somebody who is signed in gets on to a page that the proxy guards, at a host of its own.

The cookie of a session never leaves Tollgate's own host: whoever runs behind the proxy, and receives what browsers
send there, could sign in with it. So each page has a cookie of its own that opens this page and nothing else, and ends
with the session. It is handed over by a code in a redirect, which works once and for a minute.
"""

from __future__ import annotations

import secrets
from typing import Final

import msgspec

from config import names
from config.settings import Settings
from web.auth.principal import Principal
from web.auth.session_store import SessionStore
from web.auth.sessions import SECRET_LENGTH, Sessions, digest_of

CODE_S: Final = 60


class Pass(msgspec.Struct, frozen=True):
    """For which page, and by which session: the digest of its secret."""

    page: str
    session: str


class Passes:
    """Every method raises AuthUnavailable: the store does not answer."""

    def __init__(self, settings: Settings, store: SessionStore, sessions: Sessions) -> None:
        self._lasts_s = settings.session_lifetime_s
        self._store = store
        self._sessions = sessions

    def hand_over(self, session_secret: str, page: str) -> str:
        """A code for whom a session belongs to: `redeem` takes it once, within a minute."""
        code = _random()
        self._keep(names.pass_code_key(digest_of(code)), Pass(page, digest_of(session_secret)), for_s=CODE_S)
        return code

    def redeem(self, code: str, page: str) -> str | None:
        """What the page's cookie holds from now on; None when the code is not good for it, or no more."""
        found = _pass_in(self._store.take(names.pass_code_key(digest_of(code))), page)
        if found is None:
            return None
        secret = _random()
        self._keep(names.pass_key(digest_of(secret)), found, for_s=self._lasts_s)
        return secret

    def find(self, secret: str, page: str) -> Principal | None:
        """Who comes with this cookie; None when it opens another page, or their session has ended.

        Raises Unauthenticated: the key of their session was revoked or has expired.
        """
        key = names.pass_key(digest_of(secret))
        found = _pass_in(self._store.find(key, for_s=self._lasts_s), page)
        return self._sessions.find_by_digest(found.session) if found is not None else None

    def _keep(self, key: str, found: Pass, *, for_s: int) -> None:
        self._store.keep(key, msgspec.json.encode(found), for_s=for_s)


def _pass_in(content: bytes | None, page: str) -> Pass | None:
    found = msgspec.json.decode(content, type=Pass) if content is not None else None
    return found if found is not None and found.page == page else None


def _random() -> str:
    return secrets.token_hex(SECRET_LENGTH // 2)
