"""Keys without a database, for tests: keeps the promises of `web.auth.key_desk.KeyStore`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from config.errors import TollgateError, UnknownId
from ml.ledger.key_book import StoredKey
from ml.ledger.model_events import ModelAction, ModelEvent


@dataclass(slots=True)
class MemoryKeys:
    """`failure`: what every call raises."""

    keys: dict[str, StoredKey] = field(default_factory=dict)
    failure: TollgateError | None = None
    events: list[ModelEvent] = field(default_factory=list)

    def all(self) -> Sequence[StoredKey]:
        """See `KeyStore.all`."""
        self._require_database()
        return list(self.keys.values())

    def changes(self) -> int:
        """See `KeyStore.changes`."""
        self._require_database()
        found = self.keys.values()
        return sum(1 + (key.revoked_at is not None) + (key.replaced_by is not None) for key in found)

    def history(self, limit: int = 50) -> Sequence[ModelEvent]:
        """See `KeyStore.history`."""
        self._require_database()
        return self.events[::-1][:limit]

    def add(self, key: StoredKey) -> None:
        """See `KeyStore.add`."""
        self._require_database()
        self.keys[key.key_id] = key
        self._note("key_created", key.key_id, key.created_by, key.created_at)

    def replace(self, key_id: str, successor: StoredKey, *, expires_at: datetime) -> None:
        """See `KeyStore.replace`."""
        old = self._in_force(key_id, successor.created_at)
        if old.replaced_by is not None:
            raise UnknownId(f"the key {key_id!r} was replaced by {old.replaced_by!r} already")
        self.keys[successor.key_id] = successor
        self._note("key_rotated", key_id, successor.created_by, successor.created_at)
        ends_at = min(expires_at, old.expires_at or expires_at)
        self.keys[key_id] = msgspec.structs.replace(old, replaced_by=successor.key_id, expires_at=ends_at)

    def revoke(self, key_id: str, *, actor: str, now: datetime) -> None:
        """See `KeyStore.revoke`."""
        self.keys[key_id] = msgspec.structs.replace(self._in_force(key_id, now), revoked_at=now)
        self._note("key_revoked", key_id, actor, now)

    def _note(self, action: ModelAction, key_id: str, actor: str, now: datetime) -> None:
        self.events.append(
            ModelEvent(at=now, actor=actor, action=action, from_version=None, to_version=None, reasons=[key_id])
        )

    def _in_force(self, key_id: str, now: datetime) -> StoredKey:
        self._require_database()
        key = self.keys.get(key_id)
        if key is None or not key.is_in_force(now):
            raise UnknownId(f"no key in force has the id {key_id!r}")
        return key

    def _require_database(self) -> None:
        if self.failure is not None:
            raise self.failure
