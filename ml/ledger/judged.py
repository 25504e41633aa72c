"""Reads decisions with their labels by day of event time, and which days have changed. For the quality roll-up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, String, and_, case, func, literal, null, or_, select, type_coerce
from sqlalchemy.sql import Select

from config.tenants import prefix_of
from ml.ledger.columns import UtcDateTime
from ml.ledger.tables import current_labels, decision_entities, decisions, labels, schemas
from ml.policy import LIST_REASONS
from ml.quality.cells import JudgedDecision

CHUNK_ROWS: Final = 20_000
DELAY_LABELS: Final = 20_000
"""The newest fraud labels that the label delay is learned from."""


PAST_ROWS: Final = 2000
"""Decisions of a page that come with their features."""


class PastDecision(NamedTuple):
    """A decision with everything that deciding it again takes. `features`: float64 little-endian, as served."""

    event_at: datetime
    row_id: int
    judged: JudgedDecision
    decision_id: str
    transaction_id: str
    features: bytes
    values: list[Any]
    schema_digest: str
    model_digest: str


class RowIds(NamedTuple):
    """Row numbers of decisions and of labels."""

    decision: int
    label: int


def days_between(connection: Connection, after: RowIds, until: RowIds) -> list[str]:
    """The UTC days of decisions, and of decisions with a label, with row numbers in (after, until]."""
    day = _day(connection)
    of_decisions = select(day).where(decisions.c.id > after.decision, decisions.c.id <= until.decision).distinct()
    of_labels = (
        select(day)
        .join(labels, labels.c.decision_id == decisions.c.decision_id)
        .where(labels.c.id > after.label, labels.c.id <= until.label)
        .distinct()
    )
    found = {*connection.execute(of_decisions).scalars(), *connection.execute(of_labels).scalars()}
    return sorted(str(one) for one in found)


def newest_ids(connection: Connection) -> RowIds:
    """The highest row numbers; 0 where there is none."""
    decision = connection.execute(select(func.max(decisions.c.id))).scalar()
    label = connection.execute(select(func.max(labels.c.id))).scalar()
    return RowIds(decision or 0, label or 0)


def newest_event_at(connection: Connection, before: datetime) -> datetime | None:
    """The latest event time of a decision, before a moment."""
    query = select(func.max(decisions.c.event_at, type_=UtcDateTime)).where(decisions.c.event_at < before)
    return connection.execute(query).scalar()


def read_judged(
    connection: Connection, since: datetime, until: datetime, *, segment: str | None, account: str | None
) -> Iterator[JudgedDecision]:
    """The decisions with `since <= event_at < until`, each with the label that counts now.

    `segment`, `account`: the fields whose values go with them; an account's is qualified by its tenant. Decisions made
    by the rules alone are left out: no model made them.
    """
    fields = _positions(connection)
    query = _query(_values_of(connection, fields, segment), _values_of(connection, fields, account))
    query = query.where(decisions.c.event_at < until, decisions.c.degraded.is_(False))
    at, row_id = since, -1
    while True:
        beyond = (decisions.c.event_at > at) | and_(decisions.c.event_at == at, decisions.c.id > row_id)
        rows = connection.execute(query.where(decisions.c.event_at >= at, beyond).limit(CHUNK_ROWS)).all()
        yield from map(_judged, rows)
        if len(rows) < CHUNK_ROWS:
            return
        at, row_id = rows[-1][0], rows[-1][1]


def past_page(
    connection: Connection, since: datetime, until: datetime, *, account: str | None, after: tuple[datetime, int]
) -> list[PastDecision]:
    """The next page of what `read_judged` reads, with features and values, beyond (event_at, id) `after`."""
    c = decisions.c
    query = _query(literal(None, String), _values_of(connection, _positions(connection), account)).add_columns(
        c.decision_id, c.features, c.sent_values, c.schema_digest, c.model_digest
    )
    at, row_id = after
    beyond = (c.event_at > at) | and_(c.event_at == at, c.id > row_id)
    query = query.where(c.event_at >= at, c.event_at >= since, c.event_at < until, c.degraded.is_(False), beyond)
    return [_past(row) for row in connection.execute(query.limit(PAST_ROWS))]


def count_degraded(connection: Connection, since: datetime, until: datetime) -> int:
    """How many decisions of a stretch of event time were made by the rules alone."""
    c = decisions.c
    query = select(func.count()).where(c.event_at >= since, c.event_at < until, c.degraded.is_(True))
    return connection.execute(query).scalar_one()


def accounts_known_for_fraud(connection: Connection, entity: str, values: Sequence[str], before: datetime) -> set[str]:
    """Those accounts (cards) that a label known before this moment says fraud about."""
    query = (
        select(decision_entities.c.value)
        .join(decisions, decisions.c.transaction_id == decision_entities.c.transaction_id)
        .join(current_labels, current_labels.c.decision_id == decisions.c.decision_id)
        .where(decision_entities.c.entity == entity, decision_entities.c.value.in_(values))
        .where(current_labels.c.is_fraud.is_(True), current_labels.c.known_at < before)
        .distinct()
    )
    return set(connection.execute(query).scalars())


def fraud_delays(connection: Connection) -> list[tuple[float, datetime]]:
    """(event time in Unix seconds, first known) of the frauds with the newest labels, at most `DELAY_LABELS`."""
    newest = (
        select(labels.c.decision_id, labels.c.known_at)
        .where(labels.c.is_fraud.is_(True), labels.c.decision_id.is_not(None))
        .order_by(labels.c.id.desc())
        .limit(DELAY_LABELS)
        .subquery()
    )
    query = (
        select(decisions.c.event_time_s, func.min(newest.c.known_at, type_=UtcDateTime))
        .join(newest, newest.c.decision_id == decisions.c.decision_id)
        .group_by(decisions.c.id, decisions.c.event_time_s)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def _judged(row: Row[Any]) -> JudgedDecision:
    return JudgedDecision(
        event_time_s=row.event_time_s,
        probability=row.fraud_probability,
        action=row.action,
        amount=row.amount,
        model_version=row.model_version,
        segment=None if row.segment is None else str(row.segment),
        account=None if row.account is None else f"{prefix_of(row.transaction_id)}{row.account}",
        is_fraud=row.was_fraud,
        propensity=row.propensity,
        is_listed=row.is_listed,
    )


def _past(row: Row[Any]) -> PastDecision:
    return PastDecision(
        event_at=row.event_at,
        row_id=row.id,
        judged=_judged(row),
        decision_id=row.decision_id,
        transaction_id=row.transaction_id,
        features=row.features,
        values=row.sent_values,
        schema_digest=row.schema_digest,
        model_digest=row.model_digest,
    )


def _query(segment: ColumnElement[Any], account: ColumnElement[Any]) -> Select[Any]:
    c = decisions.c
    return (
        select(
            c.event_at,
            c.id,
            c.transaction_id,
            c.event_time_s,
            c.fraud_probability,
            c.action,
            c.amount,
            c.model_version,
            segment.label("segment"),
            account.label("account"),
            current_labels.c.is_fraud.label("was_fraud"),
            c.propensity,
            _is_listed().label("is_listed"),
        )
        .outerjoin(current_labels, current_labels.c.decision_id == c.decision_id)
        .order_by(c.event_at, c.id)
    )


def _is_listed() -> ColumnElement[bool]:
    """Whether a list of the policy file decided. Reasons are searched as text, exactly as they were written: that takes
    no parsing, and text inside a message has its quotes escaped.
    """
    text = decisions.c.reasons.cast(String)
    return or_(*(text.contains(f'"code":"{code}"', autoescape=True) for code in LIST_REASONS))


def _positions(connection: Connection) -> dict[str, Mapping[str, int]]:
    """Schema digest -> field name -> position in `sent_values`."""
    rows = connection.execute(select(schemas.c.digest, schemas.c.field_names))
    return {row.digest: {name: at for at, name in enumerate(row.field_names)} for row in rows}


def _values_of(
    connection: Connection, positions: Mapping[str, Mapping[str, int]], field: str | None
) -> ColumnElement[Any]:
    """The sent value of a field as text, by the schema that each decision was made under."""
    if field is None:
        return literal(None, String)
    whens = [
        (decisions.c.schema_digest == digest, _sent(connection, fields[field]))
        for digest, fields in positions.items()
        if field in fields
    ]
    return case(*whens, else_=null()) if whens else literal(None, String)


def _sent(connection: Connection, position: int) -> ColumnElement[Any]:
    text: ColumnElement[Any] = decisions.c.sent_values[position].as_string()
    if connection.dialect.name == "sqlite":
        return text
    # PostgreSQL stores an escaped NUL in JSON but fails when it reads any part of such a document as text.
    return case((decisions.c.sent_values.cast(String).contains(r"\\u0000"), null()), else_=text)


def _day(connection: Connection) -> ColumnElement[str]:
    if connection.dialect.name == "sqlite":
        return func.substr(type_coerce(decisions.c.event_at, String), 1, 10)
    return func.to_char(func.timezone("UTC", decisions.c.event_at), "YYYY-MM-DD")
