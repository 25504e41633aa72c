"""What an entity's history was made of, read back: decisions and labels with what each label replaced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from ml.ledger.read import after_position
from ml.ledger.records import StoredDecision
from ml.ledger.rows import stored_decision
from ml.ledger.tables import decision_entities, decisions, labels


class LabelArrival(msgspec.Struct, frozen=True):
    """A label of a decision, at its place in the arrival order, beside the transaction it is about.

    `transaction_id`, `values`, `event_at_s`, `schema_digest`: of that transaction. `known_at_s`: Unix seconds.
    `earlier`: `(known_at_s, is_fraud)` of the label that counted until then, None for the first.
    """

    id: int
    sequence: int
    transaction_id: str
    schema_digest: str
    values: list[Any]
    event_at_s: float
    known_at_s: float
    is_fraud: bool
    earlier: tuple[float, bool] | None


_ARRIVALS = select(
    labels.c.id,
    labels.c.sequence,
    labels.c.decision_id,
    labels.c.known_at,
    labels.c.is_fraud,
    decisions.c.transaction_id,
    decisions.c.schema_digest,
    decisions.c.event_time_s,
    decisions.c.sent_values,
).join(decisions, decisions.c.decision_id == labels.c.decision_id)


def label_arrivals(connection: Connection, after: tuple[int, int], *, limit: int) -> list[LabelArrival]:
    """Labels of decisions with (sequence, id) above `after`, in that order."""
    query = after_position(_ARRIVALS, (labels.c.sequence, labels.c.id), after).limit(limit)
    return _with_earlier(connection, connection.execute(query).mappings().all())


def decisions_of_entity(
    connection: Connection, entity: str, value: str, *, before: int, limit: int
) -> list[StoredDecision]:
    """The last `limit` decisions about an entity that history saw before sequence number `before`, in arrival order."""
    query = (
        select(decisions)
        .where(decisions.c.sequence > 0, decisions.c.sequence < before, _is_about(entity, value))
        .order_by(decisions.c.sequence.desc())
        .limit(limit)
    )
    return [stored_decision(row) for row in connection.execute(query).mappings()][::-1]


def arrivals_of_entity(
    connection: Connection, entity: str, value: str, *, before: int, limit: int
) -> list[LabelArrival]:
    """The last `limit` labels about an entity before sequence number `before`, in arrival order."""
    query = (
        _ARRIVALS.where(labels.c.sequence < before, _is_about(entity, value))
        .order_by(labels.c.sequence.desc(), labels.c.id.desc())
        .limit(limit)
    )
    return _with_earlier(connection, connection.execute(query).mappings().all()[::-1])


def first_sequence(connection: Connection) -> int:
    """The lowest sequence number in the ledger; 0 when it is empty."""
    lowest = select(func.min(decisions.c.sequence)).where(decisions.c.sequence > 0)
    return int(connection.execute(lowest).scalar_one() or 0)


def missing_sequences(connection: Connection) -> int:
    """How many numbers between the lowest and the highest neither a decision nor a label has."""
    ends = [
        select(func.min(table.c.sequence), func.max(table.c.sequence), func.count()).where(table.c.sequence > 0)
        for table in (decisions, labels)
    ]
    found = [row for row in (connection.execute(query).one() for query in ends) if row[2]]
    if not found:
        return 0
    lowest, highest = min(row[0] for row in found), max(row[1] for row in found)
    return int(highest - lowest + 1 - sum(row[2] for row in found))


def _is_about(entity: str, value: str) -> ColumnElement[bool]:
    of_entity = select(decision_entities.c.transaction_id).where(
        decision_entities.c.entity == entity, decision_entities.c.value == value
    )
    return decisions.c.transaction_id.in_(of_entity)


def _with_earlier(connection: Connection, rows: Sequence[RowMapping]) -> list[LabelArrival]:
    about = {row["decision_id"] for row in rows}
    query = select(labels.c.decision_id, labels.c.sequence, labels.c.known_at, labels.c.id, labels.c.is_fraud)
    by_decision: defaultdict[str, list[tuple[int, datetime, int, bool]]] = defaultdict(list)
    for decision_id, *known in connection.execute(query.where(labels.c.decision_id.in_(about))):
        by_decision[decision_id].append((known[0], known[1], known[2], known[3]))
    return [_arrival(row, by_decision[row["decision_id"]]) for row in rows]


def _arrival(row: RowMapping, of_decision: Sequence[tuple[int, datetime, int, bool]]) -> LabelArrival:
    before = [known[1:] for known in of_decision if known[0] < row["sequence"]]
    earlier = max(before, default=None)
    return LabelArrival(
        id=row["id"],
        sequence=row["sequence"],
        transaction_id=row["transaction_id"],
        schema_digest=row["schema_digest"],
        values=row["sent_values"],
        event_at_s=row["event_time_s"],
        known_at_s=row["known_at"].timestamp(),
        is_fraud=row["is_fraud"],
        earlier=None if earlier is None else (earlier[0].timestamp(), earlier[2]),
    )
