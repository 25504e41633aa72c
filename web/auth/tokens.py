"""Bearer tokens (JWT; RFC 7519, RFC 8725): verified with the issuer's public keys, remembered until they expire.

Verifying a signature takes about a tenth of a millisecond; a payment pays for a SHA-256 and a look into a dictionary.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from threading import Lock
from typing import Any, Final, NamedTuple, NoReturn

import jwt
from jwt.exceptions import PyJWTError

from config.errors import Unauthenticated
from config.settings import Settings
from web.auth.claims import principal_of_claims
from web.auth.issuer_keys import KEY_TYPES, IssuerKeys
from web.auth.principal import Principal

LONGEST: Final = 8192
"""Characters of a token; longer ones are refused unread."""

REMEMBERED: Final = 10_000
_REQUIRED: Final = ["exp", "iss", "aud", "sub"]


class _Known(NamedTuple):
    principal: Principal
    ends_at_s: float
    keys_version: int


class TokenVerifier:
    """Recognises tokens of one issuer. Thread-safe. `audience`: TOLLGATE_OIDC_AUDIENCE. `clock`: Unix seconds."""

    def __init__(
        self,
        settings: Settings,
        keys: IssuerKeys,
        *,
        audience: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._audience = audience or settings.oidc_audience
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = Lock()

    def find(self, token: str) -> Principal:
        """Whose token this is. Raises Unauthenticated, AuthUnavailable (the issuer's keys could not be read yet)."""
        digest = sha256(token.encode()).digest()
        known = self._remembered(digest)
        if known is not None:
            return known
        claims, keys_version = self.verify(token)
        principal = principal_of_claims(claims, self._settings)
        ends_at_s = float(claims["exp"]) + self._settings.oidc_leeway_s
        self._remember(digest, _Known(principal, ends_at_s, keys_version))
        return principal

    def _remembered(self, digest: bytes) -> Principal | None:
        with self._lock:
            known = self._known.get(digest)
            if known is None:
                return None
            if self._clock() >= known.ends_at_s or known.keys_version != self._keys.version:
                del self._known[digest]
                return None
            self._known.move_to_end(digest)
            return known.principal

    def _remember(self, digest: bytes, known: _Known) -> None:
        with self._lock:
            self._known[digest] = known
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def verify(self, token: str) -> tuple[Mapping[str, Any], int]:
        """A token's claims, and the version of the keys that they were verified with.

        Raises Unauthenticated, AuthUnavailable.
        """
        try:
            algorithm, key_id = _head(token)
            found = self._keys.find(key_id, algorithm)
            if found is None:
                _refuse("its key is none of the issuer's")
            claims: dict[str, Any] = jwt.decode(
                token,
                found.key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._settings.oidc_issuer,
                leeway=self._settings.oidc_leeway_s,
                options={"require": _REQUIRED, "enforce_minimum_key_length": True},
            )
        except (PyJWTError, ValueError, OverflowError) as error:
            raise Unauthenticated(f"the token is not accepted: {str(error)[:200]}", is_shown=True) from error
        return claims, found.version


def _head(token: str) -> tuple[str, str | None]:
    """Algorithm and key id, as the token claims them. Raises Unauthenticated, PyJWTError."""
    if len(token) > LONGEST:
        _refuse(f"it has more than {LONGEST} characters")
    head = jwt.get_unverified_header(token)
    algorithm, key_id = head.get("alg"), head.get("kid")
    if not isinstance(algorithm, str) or algorithm not in KEY_TYPES:
        _refuse(f"its algorithm is none of {', '.join(KEY_TYPES)}")
    if key_id is not None and not isinstance(key_id, str):
        _refuse("its key id is no text")
    return algorithm, key_id


def _refuse(reason: str) -> NoReturn:
    raise Unauthenticated(f"the token is not accepted: {reason}", is_shown=True)
