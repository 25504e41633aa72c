"""What the ledger lets go of: rows read in the order of their arrival, and the deletion of old ones in slices.

A slice is one short transaction, so writers beside it wait for milliseconds. Two processes that delete at once take
different rows (PostgreSQL) or turns (SQLite).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, exists, or_, select

from config.contracts import JournalEntry
from ml.ledger.records import DecidedRow, Deleted
from ml.ledger.rows import entity_rows, stored_decision
from ml.ledger.shadows import delete_shadows
from ml.ledger.tables import decision_entities, decisions, labels
from ml.ledger.write import ENTITY_KEY, EntityPositions

_has_label = exists().where(labels.c.decision_id == decisions.c.decision_id)
_has_decision = exists().where(decisions.c.decision_id == labels.c.decision_id)
_OF_ENTITY: list[ColumnElement[bool]] = [decision_entities.c[name] == bindparam(f"old_{name}") for name in ENTITY_KEY]


def decided_after(connection: Connection, row_id: int, *, limit: int) -> list[DecidedRow]:
    """The next `limit` decisions in the order of their arrival."""
    c = decisions.c
    query = select(c.id, c.transaction_id, c.digest, c.scored_at).where(c.id > row_id).order_by(c.id).limit(limit)
    return [DecidedRow(*row) for row in connection.execute(query)]


def delete_slice(
    connection: Connection, before: datetime, unlabelled_before: datetime, positions: EntityPositions, *, limit: int
) -> Deleted:
    """Delete up to `limit` decisions with their entities and labels, then as many labels that stand alone."""
    entries = _doomed(connection, before, unlabelled_before, limit)
    of_decisions = _delete_decisions(connection, entries, positions)
    return Deleted(len(entries), of_decisions + _delete_lone_labels(connection, before, limit))


def _doomed(connection: Connection, before: datetime, unlabelled_before: datetime, limit: int) -> list[JournalEntry]:
    is_due = or_(decisions.c.scored_at < unlabelled_before, _has_label)
    query = select(decisions).where(decisions.c.scored_at < before, is_due).order_by(decisions.c.scored_at).limit(limit)
    rows = connection.execute(query.with_for_update(skip_locked=True)).mappings()
    return [JournalEntry(old.decision, old.record, old.features) for old in map(stored_decision, rows)]


def _delete_decisions(connection: Connection, entries: Sequence[JournalEntry], positions: EntityPositions) -> int:
    """Returns how many labels went along."""
    if not entries:
        return 0
    # By the whole key, since the table has no index that begins with the transaction.
    named = [row for entry in entries for row in entity_rows(entry, positions(entry.record.schema_digest))]
    if named:
        keys: list[dict[str, Any]] = [{f"old_{name}": row[name] for name in ENTITY_KEY} for row in named]
        connection.execute(delete(decision_entities).where(*_OF_ENTITY), keys)
    ids = [entry.decision.decision_id for entry in entries]
    gone = connection.execute(delete(labels).where(labels.c.decision_id.in_(ids))).rowcount
    delete_shadows(connection, [entry.decision.transaction_id for entry in entries])
    connection.execute(delete(decisions).where(decisions.c.decision_id.in_(ids)))
    return gone


def _delete_lone_labels(connection: Connection, before: datetime, limit: int) -> int:
    old = select(labels.c.id).where(labels.c.received_at < before, ~_has_decision)
    ids = connection.execute(old.order_by(labels.c.received_at).limit(limit)).scalars().all()
    return connection.execute(delete(labels).where(labels.c.id.in_(ids))).rowcount if ids else 0
