"""Making, listing, rotating and revoking API keys: what `tollgate keys` and /keys do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from config.api_keys import NewKey, new_key
from config.errors import FieldError, InvalidRequest, UnknownId
from config.tenants import DEFAULT_TENANT, NAME_WORDS, is_tenant_name
from ml.ledger.key_book import KeyKind, StoredKey
from ml.ledger.model_events import ModelEvent
from web.auth.principal import SCOPES, TENANT_SCOPES, Scope

NAME_MAX_LENGTH: Final = 64
USUAL_OVERLAP: Final = timedelta(hours=24)
LONGEST_OVERLAP: Final = timedelta(days=90)
LONGEST_LIFE: Final = timedelta(days=3650)


class KeyStore(Protocol):
    """Where keys are kept: `ml.ledger.key_book.KeyBook`. Every method raises LedgerUnavailable."""

    def all(self) -> Sequence[StoredKey]:
        """Every key that there ever was, oldest first."""

    def changes(self) -> int:
        """How often the table has changed: cheap to ask, whatever its size."""

    def history(self, limit: int = 50) -> Sequence[ModelEvent]:
        """What was done to keys, newest first."""

    def add(self, key: StoredKey) -> None:
        """Keep a new key."""

    def replace(self, key_id: str, successor: StoredKey, *, expires_at: datetime) -> None:
        """Keep the successor of a key, which itself ends. Raises UnknownId."""

    def revoke(self, key_id: str, *, actor: str, now: datetime) -> None:
        """End a key at once. Raises UnknownId."""


class Issued(NamedTuple):
    """A key that was made just now. `text`: what its owner shows; it is told this once."""

    key: StoredKey
    text: str


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What a key shall be. `lifetime`: None: until it is revoked.

    Raises InvalidRequest: a name, scope or tenant that no key can have; `errors` names each.
    """

    name: str
    scopes: tuple[Scope, ...]
    tenant: str = DEFAULT_TENANT
    lifetime: timedelta | None = None
    kind: KeyKind = "issued"

    def __post_init__(self) -> None:
        wrong = [*_wrong_name(self.name), *_wrong_scopes(self.scopes, self.tenant), *_wrong_lifetime(self.lifetime)]
        if not is_tenant_name(self.tenant):
            wrong.append(FieldError("/tenant", "malformed", f"must have {NAME_WORDS}"))
        if wrong:
            raise InvalidRequest("no such key can be made", errors=tuple(wrong))


class KeyDesk:
    """Every method raises LedgerUnavailable."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store

    def all(self) -> Sequence[StoredKey]:
        """Every key that there ever was, oldest first."""
        return self._store.all()

    def history(self) -> Sequence[ModelEvent]:
        """What was done to keys, by whom, newest first."""
        return self._store.history()

    def create(self, wish: KeyWish, *, actor: str, now: datetime) -> Issued:
        """Make a key. Its digest is stored, its text told."""
        made = new_key()
        key = _stored(made, wish, actor=actor, now=now)
        self._store.add(key)
        return Issued(key, made.text)

    def rotate(self, key_id: str, *, overlap: timedelta, actor: str, now: datetime) -> Issued:
        """Make a key with the same rights and as long a life; the old one ends after the overlap.

        Raises UnknownId: no key in force has this id, or it was replaced already.
        """
        old = next((key for key in self._store.all() if key.key_id == key_id), None)
        if old is None:
            raise UnknownId(f"no key has the id {key_id!r}")
        lifetime = old.expires_at - old.created_at if old.expires_at is not None else None
        wish = KeyWish(old.name, _known(old.scopes), old.tenant, lifetime, old.kind)
        made = new_key()
        key = _stored(made, wish, actor=actor, now=now, family=old.family)
        self._store.replace(key_id, key, expires_at=now + overlap)
        return Issued(key, made.text)

    def revoke(self, key_id: str, *, actor: str, now: datetime) -> None:
        """End a key at once: web processes know within TOLLGATE_AUTH_REFRESH_S. Raises UnknownId."""
        self._store.revoke(key_id, actor=actor, now=now)


def _stored(made: NewKey, wish: KeyWish, *, actor: str, now: datetime, family: str | None = None) -> StoredKey:
    return StoredKey(
        key_id=made.key_id,
        digest=made.digest,
        kind=wish.kind,
        name=wish.name,
        tenant=wish.tenant,
        scopes=list(wish.scopes),
        family=family or made.key_id,
        created_at=now,
        created_by=actor,
        expires_at=now + wish.lifetime if wish.lifetime is not None else None,
    )


def read_scopes(words: Iterable[str]) -> tuple[Scope, ...]:
    """Scopes by name, in the usual order. Raises InvalidRequest."""
    given = set(words)
    unknown = given - set(SCOPES)
    if unknown:
        message = f"{', '.join(sorted(unknown))[:200]}: not among {', '.join(SCOPES)}"
        raise InvalidRequest(message, errors=(FieldError("/scopes", "not_allowed", message),))
    return _known(given)


def _known(words: Iterable[str]) -> tuple[Scope, ...]:
    given = set(words)
    return tuple(scope for scope in SCOPES if scope in given)


def _wrong_name(name: str) -> list[FieldError]:
    if len(name.strip()) > 0 and len(name) <= NAME_MAX_LENGTH and name.isprintable():
        return []
    return [FieldError("/name", "malformed", f"must have 1 to {NAME_MAX_LENGTH} printable characters")]


def _wrong_scopes(scopes: Sequence[Scope], tenant: str) -> list[FieldError]:
    if not scopes:
        return [FieldError("/scopes", "required", f"one or more of {', '.join(SCOPES)}")]
    beyond = set(scopes) - TENANT_SCOPES
    if tenant == DEFAULT_TENANT or not beyond:
        return []
    message = f"a key of the tenant {tenant[:64]!r} may not hold {', '.join(sorted(beyond))}"
    return [FieldError("/scopes", "not_allowed", message)]


def _wrong_lifetime(lifetime: timedelta | None) -> list[FieldError]:
    if lifetime is None or timedelta(0) < lifetime <= LONGEST_LIFE:
        return []
    return [FieldError("/expires_in_s", "out_of_bounds", f"must be above 0 and at most {LONGEST_LIFE.days} days")]
