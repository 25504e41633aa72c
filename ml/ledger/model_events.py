"""The audit trail of models: who made which one the champion, or did not, when and why."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from sqlalchemy import Connection, select

from ml.ledger.columns import require_aware
from ml.ledger.tables import model_events

ModelAction = Literal[
    "promoted",
    "kept_shadowing",
    "rejected",
    "rolled_back",
    "training_failed",
    "shadow_started",
    "canary_started",
    "canary_ended",
    "shadow_ended",
    "thresholds_set",
    "entity_forgotten",
    "key_created",
    "key_rotated",
    "key_revoked",
]


class ModelEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a model, or that an operator did.

    `actor`: who asked for it ("beat", "operator:NAME", "api"). `from_version`: the champion before. `to_version`: the
    model that it is about; for a promotion or rollback, the champion after; for
    thresholds, the one that has them. `reasons`: one line each.

    Raises ValueError: a naive time.
    """

    at: datetime
    actor: str
    action: ModelAction
    from_version: str | None
    to_version: str | None
    reasons: list[str]

    def __post_init__(self) -> None:
        require_aware(self.at)


def insert_event(connection: Connection, event: ModelEvent) -> None:
    """Add one event."""
    row = {name: getattr(event, name) for name in ModelEvent.__struct_fields__}
    connection.execute(model_events.insert().values(**row))


def latest_events(connection: Connection, *, limit: int) -> list[ModelEvent]:
    """The newest events, newest first."""
    query = select(model_events).order_by(model_events.c.id.desc()).limit(limit)
    rows = connection.execute(query).mappings()
    return [ModelEvent(**{name: row[name] for name in ModelEvent.__struct_fields__}) for row in rows]
