"""The ledger's queries, as SELECT statements and the records made of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, RowMapping, Select, and_, func, literal_column, select

from config.contracts import label_digest
from config.tenants import DEFAULT_TENANT
from ml.ledger.records import DecisionFilter, StoredDecision, StoredLabel
from ml.ledger.rows import label_of, stored_decision, stored_label
from ml.ledger.tables import current_labels, decision_entities, decisions, labels

_LABEL_PREFIX = "label__"
_labelled = decisions.outerjoin(current_labels, current_labels.c.decision_id == decisions.c.decision_id)
_DECISIONS_WITH_LABEL = select(
    decisions, *(column.label(_LABEL_PREFIX + column.name) for column in current_labels.columns)
).select_from(_labelled)
_BLOCK_BITS: ColumnElement[int] = literal_column("16", Integer)
_block = decisions.c.id.bitwise_rshift(_BLOCK_BITS)


def decision_where(connection: Connection, *conditions: ColumnElement[bool]) -> StoredDecision | None:
    """The latest decision that fulfils the conditions."""
    query = _DECISIONS_WITH_LABEL.where(*conditions).order_by(decisions.c.received_at.desc(), decisions.c.id.desc())
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else _decision(row)


def decision_with_digest(connection: Connection, digest: str) -> StoredDecision | None:
    """The latest decision about this content: one look into the index per block of rows."""
    first, last = (select(end(decisions.c.id)).scalar_subquery() for end in (func.min, func.max))
    blocks = select(first.bitwise_rshift(_BLOCK_BITS).label("number")).cte("blocks", recursive=True)
    following = (blocks.c.number + 1).label("number")
    blocks = blocks.union_all(select(following).where(blocks.c.number < last.bitwise_rshift(_BLOCK_BITS)))
    found = select(decisions.c.id).join_from(blocks, decisions, blocks.c.number == _block)
    return decision_where(connection, decisions.c.id.in_(found.where(decisions.c.digest == digest)))


def decisions_of(connection: Connection, transaction_ids: Sequence[str]) -> list[StoredDecision]:
    """The decisions of these transactions, in no order and without their labels."""
    query = select(decisions).where(decisions.c.transaction_id.in_(transaction_ids))
    return [stored_decision(row) for row in connection.execute(query).mappings()]


def labelled_decisions(connection: Connection, decision_ids: Sequence[str]) -> list[StoredDecision]:
    """These decisions, in no order, each with the label that counts now."""
    query = _DECISIONS_WITH_LABEL.where(decisions.c.decision_id.in_(decision_ids))
    return [_decision(row) for row in connection.execute(query).mappings()]


def identify(
    connection: Connection, transaction_ids: Sequence[str], decision_ids: Sequence[str]
) -> list[tuple[str, str]]:
    """(decision_id, transaction_id) of the decisions with one of these ids."""
    ids = select(decisions.c.decision_id, decisions.c.transaction_id)
    found = [
        *connection.execute(ids.where(decisions.c.transaction_id.in_(transaction_ids))),
        *connection.execute(ids.where(decisions.c.decision_id.in_(decision_ids))),
    ]
    return [(row[0], row[1]) for row in found]


def decisions_page(
    connection: Connection, wanted: DecisionFilter, *, limit: int, before: int | None
) -> list[StoredDecision]:
    """The newest decisions in the ledger with `id` below `before`, newest first."""
    query = _matching(_DECISIONS_WITH_LABEL, wanted).order_by(decisions.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(decisions.c.id < before)
    return [_decision(row) for row in connection.execute(query).mappings()]


def entity_page(
    connection: Connection, entity: str, value: str, *, limit: int, before: datetime | None
) -> list[StoredDecision]:
    """The decisions about one entity before a moment of event time, latest event first."""
    newest = (
        select(decision_entities.c.transaction_id)
        .where(decision_entities.c.entity == entity, decision_entities.c.value == value)
        .order_by(decision_entities.c.event_time_s.desc())
        .limit(limit)
    )
    if before is not None:
        newest = newest.where(decision_entities.c.event_time_s < before.timestamp())
    query = _DECISIONS_WITH_LABEL.where(decisions.c.transaction_id.in_(newest)).order_by(
        decisions.c.event_time_s.desc(), decisions.c.id.desc()
    )
    return [_decision(row) for row in connection.execute(query).mappings()]


def labels_where(connection: Connection, *conditions: ColumnElement[bool]) -> list[StoredLabel]:
    """Labels in the order in which they became known."""
    query = select(labels).where(*conditions).order_by(labels.c.known_at, labels.c.id)
    return [stored_label(row) for row in connection.execute(query).mappings()]


def label_digests(connection: Connection, label_ids: Sequence[str]) -> dict[str, str]:
    """By label id what the labels with these ids say, as `LabelEntry.content_digest`."""
    c = labels.c
    query = select(c.label_id, c.is_fraud, c.source, c.transaction_id, c.digest).where(c.label_id.in_(label_ids))
    return {label_id: label_digest(*said) for label_id, *said in connection.execute(query)}


def replay_decisions(connection: Connection, after: tuple[int, int], *, limit: int) -> list[StoredDecision]:
    """Decisions with (sequence, id) above `after`, in that order, without labels."""
    position = (decisions.c.sequence, decisions.c.id)
    query = after_position(select(decisions), position, after).limit(limit)
    return [stored_decision(row) for row in connection.execute(query).mappings()]


def replay_labels(connection: Connection, after: tuple[int, int], *, limit: int) -> list[StoredLabel]:
    """Labels with (sequence, id) above `after`, in that order."""
    query = after_position(select(labels), (labels.c.sequence, labels.c.id), after).limit(limit)
    return [stored_label(row) for row in connection.execute(query).mappings()]


def after_position(
    query: Select[Any], position: tuple[ColumnElement[int], ColumnElement[int]], after: tuple[int, int]
) -> Select[Any]:
    """Keyset condition. The plain `>=` beside it lets both databases walk the index on sequence alone."""
    sequence, row_id = position
    beyond = (sequence > after[0]) | and_(sequence == after[0], row_id > after[1])
    return query.where(sequence >= after[0], beyond).order_by(sequence, row_id)


def of_tenant(tenant: str) -> Iterator[ColumnElement[bool]]:
    """The conditions for decisions of one tenant."""
    yield decisions.c.tenant == tenant
    if tenant != DEFAULT_TENANT:
        # Said beside the bound value: else SQLite does not see that the index of other tenants' rows has them all.
        yield decisions.c.tenant != literal_column(f"'{DEFAULT_TENANT}'")


def _matching(query: Select[Any], wanted: DecisionFilter) -> Select[Any]:
    return query.where(*_conditions(wanted))


def _conditions(wanted: DecisionFilter) -> Iterator[ColumnElement[bool]]:
    c = decisions.c
    if wanted.tenant is not None:
        yield from of_tenant(wanted.tenant)
    equal = ("action", "is_fraud", "degraded", "model_version")
    yield from (c[name] == getattr(wanted, name) for name in equal if getattr(wanted, name) is not None)
    if wanted.min_probability is not None:
        yield c.fraud_probability >= wanted.min_probability
    if wanted.max_probability is not None:
        yield c.fraud_probability <= wanted.max_probability
    if wanted.since is not None:
        yield c.scored_at >= wanted.since
    if wanted.until is not None:
        yield c.scored_at < wanted.until
    if wanted.labelled is not None:
        has_label = current_labels.c.id.is_not(None)
        yield has_label if wanted.labelled else ~has_label
    if wanted.entity is not None and wanted.value is not None:
        of_entity = and_(decision_entities.c.entity == wanted.entity, decision_entities.c.value == wanted.value)
        yield c.transaction_id.in_(select(decision_entities.c.transaction_id).where(of_entity))


def _decision(row: RowMapping) -> StoredDecision:
    label = {name.removeprefix(_LABEL_PREFIX): row[name] for name in row if name.startswith(_LABEL_PREFIX)}
    return stored_decision(row, label_of(label) if label["id"] is not None else None)
