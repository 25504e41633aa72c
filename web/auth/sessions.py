"""Sessions of people at the console: begun by a key or by the issuer, shown by a cookie, ended by whatever ends first.

The cookie holds 256 random bits. The store knows their SHA-256 alone: who reads it cannot sign in with what is there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from config import api_keys, names
from config.errors import Unauthenticated
from config.settings import Settings
from web.auth.keys import KeyRing
from web.auth.principal import Principal, Scope
from web.auth.session_store import SessionStore

SECRET_LENGTH: Final = 64


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is signed in, until when (Unix seconds), and what that hangs on: a key (its digest in hex), or an issuer.

    `key_id`: None for a key of the settings.
    """

    name: str
    tenant: str
    scopes: list[Scope]
    credential: str
    ends_at_s: float
    key_id: str | None = None
    key_digest: str = ""
    issuer: str = ""

    def principal(self) -> Principal:
        """Who asks."""
        return Principal(self.name, self.tenant, frozenset(self.scopes), credential=self.credential)


class SignedIn(NamedTuple):
    """`secret`: what the cookie holds from now on."""

    secret: str
    principal: Principal


class Sessions:
    """`ring`: a session ends with its key, as soon as that is known here. `clock`: Unix seconds.

    Every method raises AuthUnavailable: the store does not answer, or the table of keys could not be read yet.
    """

    def __init__(
        self, settings: Settings, store: SessionStore, ring: KeyRing, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._store = store
        self._ring = ring
        self._clock = clock

    def begin_with_key(self, text: str) -> SignedIn:
        """Sign in who shows an API key. Raises Unauthenticated."""
        principal = self._ring.find(text)
        return self._begin(principal, key_id=api_keys.key_id_of(text), key_digest=api_keys.digest_of(text).hex())

    def begin_with_issuer(self, principal: Principal) -> SignedIn:
        """Sign in whom the issuer of the settings has recognised."""
        return self._begin(principal, issuer=self._settings.oidc_issuer)

    def find(self, secret: str) -> Principal | None:
        """Whose session this is, which goes on by it; None when it has ended or never was.

        Raises Unauthenticated: its key was revoked or has expired.
        """
        return self.find_by_digest(digest_of(secret))

    def find_by_digest(self, digest: str) -> Principal | None:
        """The same by what the store knows it by: for whoever must not hold the secret (`web.auth.passes`)."""
        key = names.session_key(digest)
        content = self._store.find(key, for_s=self._settings.session_idle_s)
        if content is None:
            return None
        session = msgspec.json.decode(content, type=Session)
        if self._clock() >= session.ends_at_s:
            self._store.take(key)
            return None
        try:
            return self._held(session)
        except Unauthenticated:
            self._store.take(key)
            raise

    def end(self, secret: str) -> None:
        """Sign out; harmless for a session that has ended."""
        self._store.take(_key(secret))

    def _begin(
        self, principal: Principal, *, key_id: str | None = None, key_digest: str = "", issuer: str = ""
    ) -> SignedIn:
        secret = secrets.token_hex(SECRET_LENGTH // 2)
        session = Session(
            name=principal.name,
            tenant=principal.tenant,
            scopes=sorted(principal.scopes),
            credential=principal.credential,
            ends_at_s=self._clock() + self._settings.session_lifetime_s,
            key_id=key_id,
            key_digest=key_digest,
            issuer=issuer,
        )
        self._store.keep(_key(secret), msgspec.json.encode(session), for_s=self._settings.session_idle_s)
        return SignedIn(secret, principal)

    def _held(self, session: Session) -> Principal:
        """Who it is today: what a key opens is asked anew, what the issuer said stays until the session ends."""
        if session.key_digest:
            return self._ring.find_digest(session.key_id, bytes.fromhex(session.key_digest))
        if session.issuer != self._settings.oidc_issuer:
            raise Unauthenticated("the issuer of this session is trusted no more", is_shown=True)
        return session.principal()


def digest_of(secret: str) -> str:
    """What the store knows of a secret: its SHA-256 in hex."""
    return sha256(secret.encode()).hexdigest()


def _key(secret: str) -> str:
    return names.session_key(digest_of(secret))
