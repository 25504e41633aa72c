"""The API keys that a web process accepts: the ledger's table, read every few seconds, and those of the settings.

Recognising one is a dictionary lookup, a SHA-256 and a comparison: it happens on every payment.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Final, NamedTuple

from config.api_keys import PREFIX, digest_of, key_id_of
from config.errors import AuthUnavailable, Unauthenticated
from config.given_secrets import given_key
from config.settings import Settings
from config.tenants import DEFAULT_TENANT
from ml.ledger.key_book import StoredKey
from web.auth.key_desk import KeyStore
from web.auth.principal import SCOPES, TENANT_SCOPES, Principal, Scope

UNSEEN_CHANGE_S: Final = 60.0
"""What somebody changed in the table by hand is seen by then."""

_UNKNOWN: Final = "the key is not known here: it is misspelt, or of another installation"


class _Held(NamedTuple):
    """A key of the table. `expires_at_s`: Unix seconds. `refusal`: why it is not accepted at all, or empty."""

    digest: bytes
    principal: Principal
    expires_at_s: float
    refusal: str


class _Given(NamedTuple):
    digest: bytes
    principal: Principal


class KeyRing:
    """Recognises keys. `is_local`: development keys count, nobody else reaches this process. `clock`: Unix seconds.

    Thread-safe: the table is replaced whole.
    """

    def __init__(
        self,
        store: KeyStore,
        *,
        is_local: bool,
        given: Sequence[_Given] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._is_local = is_local
        self._given = given
        self._clock = clock
        self._held: dict[str, _Held] | None = None
        self._seen = -1
        self._read_at_s = -math.inf

    def refresh(self) -> None:
        """Read the table if it has changed. Raises LedgerUnavailable: the one before stays in force."""
        changes, now_s = self._store.changes(), self._clock()
        # A thousand keys take 15 ms, for which payments wait; that none has changed is known in a tenth of one.
        if changes == self._seen and now_s - self._read_at_s < UNSEEN_CHANGE_S:
            return
        self._held = {key.key_id: _held(key, is_local=self._is_local) for key in self._store.all()}
        self._seen, self._read_at_s = changes, now_s

    def find(self, text: str) -> Principal:
        """Whose key this is. Raises Unauthenticated, AuthUnavailable (the table could not be read yet)."""
        return self.find_digest(key_id_of(text), digest_of(text))

    def find_digest(self, key_id: str | None, digest: bytes) -> Principal:
        """The same of a key that was shown before, by what was kept of it. `key_id`: None for one of the settings."""
        for given in self._given:
            if compare_digest(given.digest, digest):
                return given.principal
        if key_id is None:
            raise Unauthenticated(_UNKNOWN, is_shown=True)
        held = self._held_keys().get(key_id)
        if held is None or not compare_digest(held.digest, digest):
            raise Unauthenticated(_UNKNOWN, is_shown=True)
        if held.refusal or self._clock() >= held.expires_at_s:
            raise Unauthenticated(held.refusal or _expired(key_id, held.expires_at_s), is_shown=True)
        return held.principal

    def _held_keys(self) -> dict[str, _Held]:
        if self._held is None:
            raise AuthUnavailable("the table of API keys could not be read yet", retry_after_s=1)
        return self._held


def given_keys(settings: Settings) -> list[_Given]:
    """The keys of the settings. Raises SettingInvalid."""
    admin = given_key("TOLLGATE_ADMIN_KEY", settings.admin_key, settings.admin_key_file)
    metrics = given_key("TOLLGATE_METRICS_KEY", settings.metrics_key, settings.metrics_key_file)
    found: list[_Given] = []
    if admin is not None:
        found.append(_Given(digest_of(admin), _of_settings("admin-key", "admin")))
    if metrics is not None:
        found.append(_Given(digest_of(metrics), _of_settings("metrics-key", "metrics")))
    return found


def _of_settings(name: str, scope: Scope) -> Principal:
    return Principal(name, DEFAULT_TENANT, frozenset((scope,)), credential=f"settings:{name}")


def _held(key: StoredKey, *, is_local: bool) -> _Held:
    shown = f"{PREFIX}{key.key_id}"
    refusal = f"the key {shown} was revoked" if key.revoked_at is not None else ""
    if key.kind == "development" and not is_local:
        refusal = f"the key {shown} is a development key, which counts on loopback only"
    expires_at_s = key.expires_at.timestamp() if key.expires_at is not None else math.inf
    return _Held(bytes.fromhex(key.digest), principal_of_key(key), expires_at_s, refusal)


def principal_of_key(key: StoredKey) -> Principal:
    """Who shows this key. Scopes that the table must not hold are not held."""
    allowed = frozenset(SCOPES) if key.tenant == DEFAULT_TENANT else TENANT_SCOPES
    scopes = frozenset(scope for scope in SCOPES if scope in key.scopes and scope in allowed)
    # By family, so that a rotation takes no idempotency key and no open batch away from a client.
    return Principal(f"key:{key.name}", key.tenant, scopes, credential=key.family)


def _expired(key_id: str, at_s: float) -> str:
    return f"the key {PREFIX}{key_id} expired at {datetime.fromtimestamp(at_s, UTC).isoformat()}"
