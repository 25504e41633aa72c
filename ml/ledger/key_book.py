"""`KeyBook`: the API keys of an installation. Of a key only its digest is here, so nobody can read one out of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from sqlalchemy import Connection, Engine, func, select, update

from config.errors import UnknownId
from ml.ledger.audit.chain import seal_now
from ml.ledger.columns import require_aware
from ml.ledger.engine import reading, writing
from ml.ledger.model_events import KEY_ACTIONS, ModelAction, ModelEvent, insert_event, latest_events
from ml.ledger.tables import api_keys

KeyKind = Literal["development", "issued"]


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key. `key_id`: the part that may be shown. `digest`: SHA-256 of its text, in hex.

    `family`: the id of the key that this one, through rotations, took the place of; its own when there was none.
    `expires_at`: None for one that stays until it is revoked. `replaced_by`: the id of the key made by rotating it.

    Raises ValueError: a naive time.
    """

    key_id: str
    digest: str
    kind: KeyKind
    name: str
    tenant: str
    scopes: list[str]
    family: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    replaced_by: str | None = None

    def __post_init__(self) -> None:
        for moment in (self.created_at, self.expires_at, self.revoked_at):
            if moment is not None:
                require_aware(moment)

    def is_in_force(self, now: datetime) -> bool:
        """Whether it opens anything at this moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class KeyBook:
    """Reads and writes keys; every change is in the audit trail, in the same transaction.

    Every method raises LedgerUnavailable.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[StoredKey]:
        """Every key that there ever was, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)
        with reading(self._engine) as connection:
            return [StoredKey(**row) for row in connection.execute(query).mappings()]

    def changes(self) -> int:
        """How often the table has changed: each change counts one more row, revocation or replacement."""
        c = api_keys.c
        query = select(func.count() + func.count(c.revoked_at) + func.count(c.replaced_by)).select_from(api_keys)
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def history(self, limit: int = 50) -> list[ModelEvent]:
        """The newest entries (1 to 1000) of the audit trail about keys, newest first."""
        with reading(self._engine) as connection:
            return latest_events(connection, limit=max(1, min(limit, 1000)), actions=KEY_ACTIONS)

    def add(self, key: StoredKey) -> None:
        """Keep a new key."""
        with writing(self._engine) as connection:
            connection.execute(api_keys.insert().values(**msgspec.structs.asdict(key)))
            _record(connection, "key_created", _about(key), actor=key.created_by, now=key.created_at)

    def replace(self, key_id: str, successor: StoredKey, *, expires_at: datetime) -> None:
        """Keep the successor of a key, which itself expires at `expires_at`, or before if it would have anyway.

        Raises UnknownId: no key in force has this id, or it was replaced already.
        """
        with writing(self._engine) as connection:
            replaced = _require(connection, key_id, successor.created_at)
            if replaced.replaced_by is not None:
                raise UnknownId(f"the key {key_id!r} was replaced by {replaced.replaced_by!r} already")
            connection.execute(api_keys.insert().values(**msgspec.structs.asdict(successor)))
            ends_at = min(expires_at, replaced.expires_at or expires_at)
            _change(connection, key_id, replaced_by=successor.key_id, expires_at=ends_at)
            about = f"{_about(replaced)} is replaced by {successor.key_id} and ends at {ends_at.isoformat()}"
            _record(connection, "key_rotated", about, actor=successor.created_by, now=successor.created_at)

    def revoke(self, key_id: str, *, actor: str, now: datetime) -> None:
        """End a key at once. Raises UnknownId: no key in force has this id."""
        with writing(self._engine) as connection:
            key = _require(connection, key_id, now)
            _change(connection, key_id, revoked_at=now)
            _record(connection, "key_revoked", _about(key), actor=actor, now=now)


def _require(connection: Connection, key_id: str, now: datetime) -> StoredKey:
    query = select(api_keys).where(api_keys.c.key_id == key_id).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    key = StoredKey(**row) if row is not None else None
    if key is None or not key.is_in_force(now):
        raise UnknownId(f"no key in force has the id {key_id!r}")
    return key


def _change(connection: Connection, key_id: str, **values: str | datetime) -> None:
    connection.execute(update(api_keys).where(api_keys.c.key_id == key_id).values(**values))


def _record(connection: Connection, action: ModelAction, about: str, *, actor: str, now: datetime) -> None:
    event = ModelEvent(at=now, actor=actor, action=action, from_version=None, to_version=None, reasons=[about])
    insert_event(connection, event)
    seal_now(connection, "model_events", now=now)


def _about(key: StoredKey) -> str:
    return f"{key.key_id} ({key.name!r}, tenant {key.tenant}): {', '.join(key.scopes)}"
