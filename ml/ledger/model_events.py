"""The audit trail of models: who made which one the champion, or did not, when and why."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal, get_args

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
KEY_ACTIONS: Final[tuple[ModelAction, ...]] = ("key_created", "key_rotated", "key_revoked")
"""What happens to API keys. Keys may change every day: nobody who looks for models must have to read past them."""
MODEL_ACTIONS: Final[tuple[ModelAction, ...]] = tuple(one for one in get_args(ModelAction) if one not in KEY_ACTIONS)


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


def latest_events(connection: Connection, *, limit: int, actions: Collection[ModelAction]) -> list[ModelEvent]:
    """The newest events of these actions, newest first."""
    e = model_events.c
    query = select(model_events).where(e.action.in_(actions)).order_by(e.id.desc()).limit(limit)
    rows = connection.execute(query).mappings()
    return [ModelEvent(**{name: row[name] for name in ModelEvent.__struct_fields__}) for row in rows]
