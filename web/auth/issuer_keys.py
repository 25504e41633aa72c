"""The issuer's public keys, kept between requests: who signs tokens is asked rarely, and may be away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, Final, NamedTuple

import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from config.errors import AuthUnavailable

KEY_TYPES: Final[Mapping[str, str]] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""The algorithms that are accepted, and the type of key that each takes. All asymmetric: nobody else can sign."""

LIFETIME_S: Final = 300.0
"""A key that the issuer has withdrawn is refused by then."""

PATIENCE_S: Final = 0.5

_log = structlog.get_logger("tollgate.web")


class FoundKey(NamedTuple):
    """A key, and the version of the set that it is from."""

    key: PyJWK
    version: int


class _KeySet(NamedTuple):
    """`keys`: None before the issuer was reached."""

    version: int
    keys: tuple[Mapping[str, Any], ...] | None


class IssuerKeys:
    """`fetch`: the issuer's set of JSON Web Keys; raises AuthUnavailable. `refresh_s`: asked at most that often.

    While the issuer is away the last set stays in force. Thread-safe.
    """

    def __init__(
        self,
        fetch: Callable[[], Sequence[Mapping[str, Any]]],
        *,
        refresh_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._refresh_s = refresh_s
        self._clock = clock
        self._lock = Lock()
        self._asked_at: float | None = None
        self._set = _KeySet(0, None)

    @property
    def version(self) -> int:
        """Rises whenever the set is another one: what was verified with the one before must be verified anew."""
        return self._set.version

    def find(self, key_id: str | None, algorithm: str) -> FoundKey | None:
        """The key of this id for this algorithm; without an id the only one that fits. None when there is none.

        Raises AuthUnavailable: the set could not be read yet.
        """
        found = self._known(key_id, algorithm)
        if found is not None:
            return found
        self.refresh(older_than_s=self._refresh_s)
        if self._set.keys is None:
            raise AuthUnavailable("the issuer's keys could not be read yet", retry_after_s=1)
        return self._known(key_id, algorithm)

    def refresh(self, *, older_than_s: float = LIFETIME_S) -> None:
        """Ask the issuer, unless it was asked less than `older_than_s` ago. Never raises: the last set stays.

        One thread asks; the others wait a little for what it hears, lest an issuer that is slow takes every thread.
        """
        if not self._lock.acquire(timeout=PATIENCE_S):
            return
        try:
            now = self._clock()
            if self._asked_at is None or now - self._asked_at >= older_than_s:
                self._asked_at = now
                self._ask()
        finally:
            self._lock.release()

    def _ask(self) -> None:
        try:
            fetched = tuple(self._fetch())
        except AuthUnavailable as error:
            _log.warning("issuer_unavailable", detail=error.detail, has_keys=self._set.keys is not None)
            return
        if fetched != self._set.keys:
            self._set = _KeySet(self._set.version + 1, fetched)

    def _known(self, key_id: str | None, algorithm: str) -> FoundKey | None:
        known = self._set
        fitting = [key for key in known.keys or () if _fits(key, algorithm)]
        if key_id is not None:
            fitting = [key for key in fitting if key.get("kid") == key_id]
        parsed = _parsed(fitting[0], algorithm) if len(fitting) == 1 else None
        return FoundKey(parsed, known.version) if parsed is not None else None


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    is_curve_right = algorithm != "ES256" or key.get("crv") == "P-256"
    return (
        key.get("kty") == KEY_TYPES[algorithm]
        and key.get("alg", algorithm) == algorithm
        and key.get("use", "sig") == "sig"
        and is_curve_right
    )


def _parsed(key: Mapping[str, Any], algorithm: str) -> PyJWK | None:
    try:
        return PyJWK(dict(key), algorithm)
    except PyJWTError as error:
        _log.warning("issuer_key_unreadable", key_id=str(key.get("kid"))[:80], detail=str(error)[:200])
        return None
