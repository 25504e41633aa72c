"""Writes journal entries and labels: many rows per statement, the first writer of an id wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from config.contracts import JournalEntry
from ml.ledger.bulk import insert_new
from ml.ledger.records import LabelRecord
from ml.ledger.rows import decision_row, entity_rows, label_row
from ml.ledger.shadows import insert_shadows
from ml.ledger.tables import decision_entities, decisions, labels

EntityPositions = Callable[[str], dict[str, int]]
"""Schema digest -> entity name -> position of its field in `values`."""
ENTITY_KEY = tuple(column.name for column in decision_entities.primary_key)


def insert_entries(connection: Connection, entries: Sequence[JournalEntry], positions: EntityPositions) -> int:
    """Insert decisions, their entities and shadow scores; returns how many decisions were new."""
    new = insert_new(connection, decisions, [decision_row(entry) for entry in entries], ("transaction_id",))
    winners = entries if new == len(entries) else stored_entries(connection, entries) if new else ()
    rows = [row for entry in winners for row in entity_rows(entry, positions(entry.record.schema_digest))]
    insert_new(connection, decision_entities, rows, ENTITY_KEY)
    insert_shadows(connection, winners)
    return new


def insert_labels(connection: Connection, records: Sequence[LabelRecord]) -> int:
    """Insert labels; returns how many were new."""
    return insert_new(connection, labels, [label_row(record) for record in records], ("label_id",))


def stored_entries(connection: Connection, entries: Sequence[JournalEntry]) -> list[JournalEntry]:
    """Those entries whose very decision is in the table: not the losers of an earlier first writer."""
    wanted = [entry.decision.decision_id for entry in entries]
    query = select(decisions.c.decision_id).where(decisions.c.decision_id.in_(wanted))
    found = set(connection.execute(query).scalars())
    return [entry for entry in entries if entry.decision.decision_id in found]
