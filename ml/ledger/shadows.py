"""What models said of transactions that they did not decide: one row per transaction and model."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UnsetType
from sqlalchemy import Connection, delete, select

from config.contracts import JournalEntry
from ml.ledger.bulk import insert_new
from ml.ledger.tables import shadow_scores

SHADOW_KEY = tuple(column.name for column in shadow_scores.primary_key)


def insert_shadows(connection: Connection, entries: Sequence[JournalEntry]) -> None:
    """Insert the shadow scores that came with these decisions."""
    insert_new(connection, shadow_scores, [row for entry in entries for row in _rows(entry)], SHADOW_KEY)


def scores_of(connection: Connection, model_digest: str) -> dict[str, float]:
    """Transaction id -> fraud probability, of everything that this model scored in the shadow."""
    query = select(shadow_scores.c.transaction_id, shadow_scores.c.fraud_probability)
    return {row[0]: row[1] for row in connection.execute(query.where(shadow_scores.c.model_digest == model_digest))}


def delete_shadows(connection: Connection, transaction_ids: Sequence[str]) -> None:
    """Delete what was said of these transactions."""
    connection.execute(delete(shadow_scores).where(shadow_scores.c.transaction_id.in_(transaction_ids)))


def _rows(entry: JournalEntry) -> list[dict[str, object]]:
    shadow = entry.record.shadow
    if isinstance(shadow, UnsetType):
        return []
    return [
        {
            "transaction_id": entry.decision.transaction_id,
            "model_digest": shadow.model_digest,
            "model_version": shadow.model_version,
            "fraud_probability": shadow.fraud_probability,
        }
    ]
