"""Erasure of an entity's identifier: a name made up at random takes its place in every decision and label.

The books stay right: amounts, times, scores, actions and verdicts are untouched, and the rows of one entity still
belong together, so that its replay gives the features that were served. Nothing leads back from the made-up name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from config.tenants import prefix_of
from ml.ledger.audit.chain import note_forgotten
from ml.ledger.model_events import ModelEvent, insert_event
from ml.ledger.tables import decision_entities, decisions, labels
from ml.ledger.write import EntityPositions

PAGE: Final = 500


class Forgotten(NamedTuple):
    """How many rows were rewritten, and the name that stands in them now."""

    decisions: int
    labels: int
    pseudonym: str


class Entity(NamedTuple):
    """What is to be forgotten: an account, a card, a merchant by its name in the schema, and its identifier.

    `tenant`: what stands in front of its tenant's ids.
    """

    name: str
    value: str
    tenant: str = ""


def forget_entity(
    connection: Connection, entity: Entity, pseudonym: str, positions: EntityPositions, *, now: datetime
) -> Forgotten:
    """Rewrite every row about the entity, and put what they say now into the audit chain."""
    e = decision_entities.c
    mine = (e.entity == entity.name) & (e.value == entity.tenant + entity.value)
    named = list(connection.execute(select(e.transaction_id).where(mine).order_by(e.event_time_s)).scalars())
    rows = [
        row
        for start in range(0, len(named), PAGE)
        for row in _rewrite_decisions(connection, named[start : start + PAGE], entity, pseudonym, positions)
    ]
    if rows:
        connection.execute(update(decision_entities).where(mine).values(value=entity.tenant + pseudonym))
        note_forgotten(connection, "decisions", rows, now=now)
    lone = _rewrite_labels(connection, entity, pseudonym, positions)
    if lone:
        note_forgotten(connection, "labels", lone, now=now)
    return Forgotten(len(rows), len(lone), pseudonym)


def record_forgotten(connection: Connection, entity: str, done: Forgotten, *, actor: str, now: datetime) -> None:
    """Tell the audit trail who had what kind of entity forgotten, never which."""
    counts = f"{entity}: {done.decisions} decisions and {done.labels} labels are about {done.pseudonym} now"
    insert_event(
        connection,
        ModelEvent(
            at=now, actor=actor, action="entity_forgotten", from_version=None, to_version=None, reasons=[counts]
        ),
    )


def _rewrite_decisions(
    connection: Connection, named: Sequence[str], entity: Entity, pseudonym: str, positions: EntityPositions
) -> list[int]:
    """Returns the row numbers."""
    c = decisions.c
    query = select(c.id, c.schema_digest, c.sent_values).where(c.transaction_id.in_(named))
    changed = _replaced(connection.execute(query).all(), entity, pseudonym, positions)
    if changed:
        statement = update(decisions).where(c.id == bindparam("row")).values(sent_values=bindparam("values"))
        connection.execute(statement, changed)
    return [one["row"] for one in changed]


def _rewrite_labels(connection: Connection, entity: Entity, pseudonym: str, positions: EntityPositions) -> list[int]:
    """Labels of payments that nobody knew have the payment's values with them. Returns their row numbers."""
    c = labels.c
    query = select(c.id, c.schema_digest, c.sent_values, c.label_id)
    found = connection.execute(query.where(c.decision_id.is_(None), c.sent_values.is_not(None))).all()
    theirs = [tuple(row)[:3] for row in found if prefix_of(row.label_id) == entity.tenant]
    changed = _replaced(theirs, entity, pseudonym, positions)
    if changed:
        statement = update(labels).where(c.id == bindparam("row")).values(sent_values=bindparam("values"))
        connection.execute(statement, changed)
    return [one["row"] for one in changed]


def _replaced(found: Sequence[Any], entity: Entity, pseudonym: str, positions: EntityPositions) -> list[dict[str, Any]]:
    changed: list[dict[str, Any]] = []
    for row, schema_digest, values in found:
        position = positions(schema_digest or "").get(entity.name)
        if position is not None and values and position < len(values) and str(values[position]) == entity.value:
            changed.append({"row": row, "values": [*values[:position], pseudonym, *values[position + 1 :]]})
    return changed
