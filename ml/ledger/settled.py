"""Reads the decisions whose truth may have become known between two looks at the ledger.

A look is a `Horizon`: which rows had been seen, and until when decisions had matured. What is known at a horizon never
changes afterwards, so what became known between two of them can be read again after a crash, and is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, exists, or_, select

from ml.ledger.judged import RowIds
from ml.ledger.tables import decisions, labels

ROWS_AT_ONCE: Final = 20_000
"""Row numbers that one horizon moves on by at most, decisions and labels each."""
_IDS_AT_ONCE: Final = 500
_COLUMNS: Final = (
    "id", "decision_id", "event_at", "event_time_s", "scored_at", "amount", "fraud_probability", "action", "propensity",
    "sent_values", "features",
)  # fmt: skip


class Horizon(msgspec.Struct, frozen=True):
    """`ids`: the last rows that were seen. `matured_until`: event time up to which decisions had matured."""

    ids: RowIds
    matured_until: datetime


class Verdict(msgspec.Struct, frozen=True):
    """A label as far as it decides. `id`: its row."""

    id: int
    known_at: datetime
    is_fraud: bool


class SettlingRow(msgspec.Struct, frozen=True):
    """A decision that a horizon newly reached, that matured, or about which a label came; with all its labels."""

    id: int
    decision_id: str
    event_at: datetime
    event_time_s: float
    scored_at: datetime
    amount: float | None
    fraud_probability: float
    action: str
    propensity: float
    sent_values: list[Any]
    features: bytes
    verdicts: tuple[Verdict, ...]

    def label_at(self, horizon: Horizon) -> bool | None:
        """Whether the label that counted at the horizon says fraud; None without one."""
        known = [(one.known_at, one.id, one.is_fraud) for one in self.verdicts if one.id <= horizon.ids.label]
        return max(known)[2] if known else None

    def is_seen_at(self, horizon: Horizon) -> bool:
        return self.id <= horizon.ids.decision

    def is_matured_at(self, horizon: Horizon) -> bool:
        return self.event_at <= horizon.matured_until


def next_horizon(connection: Connection, last: Horizon, until: Horizon, *, schema_digest: str) -> Horizon:
    """The furthest horizon from `last` towards `until` between which at most some `ROWS_AT_ONCE` decisions matured."""
    ids = RowIds(
        min(until.ids.decision, last.ids.decision + ROWS_AT_ONCE), min(until.ids.label, last.ids.label + ROWS_AT_ONCE)
    )
    matured_until = max(last.matured_until, until.matured_until)
    matured = _matured_between(last, Horizon(ids, matured_until))
    query = select(decisions.c.event_at).where(matured, decisions.c.schema_digest == schema_digest)
    later = connection.execute(query.order_by(decisions.c.event_at).offset(ROWS_AT_ONCE).limit(1)).scalar()
    return Horizon(ids, matured_until if later is None else later)


def settling_between(connection: Connection, last: Horizon, now: Horizon, *, schema_digest: str) -> list[SettlingRow]:
    """Decisions by a model under this schema whose truth may differ between two horizons, in the order of `id`."""
    rows: dict[int, RowMapping] = {}
    of_model = and_(decisions.c.schema_digest == schema_digest, decisions.c.degraded.is_(False))
    for condition in (_seen_between(last, now), _matured_between(last, now), _labelled_between(last, now)):
        query = select(*(decisions.c[name] for name in _COLUMNS)).where(of_model, condition)
        rows |= {row["id"]: row for row in connection.execute(query).mappings()}
    verdicts = _verdicts(connection, [row["decision_id"] for row in rows.values()], now)
    return [
        SettlingRow(**rows[row_id], verdicts=verdicts.get(rows[row_id]["decision_id"], ())) for row_id in sorted(rows)
    ]


def _seen_between(last: Horizon, now: Horizon) -> ColumnElement[bool]:
    """Newly seen, and matured or labelled already; the rest of the traffic is not read."""
    c = decisions.c
    labelled = exists().where(labels.c.decision_id == c.decision_id, labels.c.id <= now.ids.label)
    is_new = and_(c.id > last.ids.decision, c.id <= now.ids.decision)
    return and_(is_new, or_(c.event_at <= now.matured_until, labelled))


def _matured_between(last: Horizon, now: Horizon) -> ColumnElement[bool]:
    c = decisions.c
    return and_(c.id <= last.ids.decision, c.event_at > last.matured_until, c.event_at <= now.matured_until)


def _labelled_between(last: Horizon, now: Horizon) -> ColumnElement[bool]:
    about = select(labels.c.decision_id).where(labels.c.id > last.ids.label, labels.c.id <= now.ids.label)
    return and_(decisions.c.id <= last.ids.decision, decisions.c.decision_id.in_(about))


def _verdicts(connection: Connection, decision_ids: Sequence[str], now: Horizon) -> dict[str, tuple[Verdict, ...]]:
    found: dict[str, tuple[Verdict, ...]] = {}
    c = labels.c
    for some in _in_parts(decision_ids):
        query = select(c.id, c.decision_id, c.known_at, c.is_fraud)
        query = query.where(c.decision_id.in_(some), c.id <= now.ids.label)
        for row in connection.execute(query):
            found[row.decision_id] = (*found.get(row.decision_id, ()), Verdict(row.id, row.known_at, row.is_fraud))
    return found


def _in_parts(decision_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(decision_ids), _IDS_AT_ONCE):
        yield decision_ids[start : start + _IDS_AT_ONCE]
