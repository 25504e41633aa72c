"""Decisions as a drift check reads them: features and score as served, without what else the ledger keeps."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from ml.ledger.tables import decisions

PAGE_ROWS: Final = 1000


class ServedRow(msgspec.Struct, frozen=True):
    """`features`: float64 little-endian, one per model column. `values`: what was sent, in the schema's order."""

    id: int
    features: bytes
    fraud_probability: float
    event_time_s: float
    values: list[Any]


def count_served(connection: Connection, since: datetime, until: datetime) -> dict[str, int]:
    """Bundle digest -> decisions with `since <= scored_at < until`; "" for those by the policy file alone."""
    c = decisions.c
    query = select(c.model_digest, func.count().label("n")).where(c.scored_at >= since, c.scored_at < until)
    return {row.model_digest: row.n for row in connection.execute(query.group_by(c.model_digest))}


def served_rows(
    connection: Connection, model_digest: str, since: datetime, until: datetime, *, step: int, after: int
) -> list[ServedRow]:
    """The next page of those whose `id` is a multiple of `step`, in the order of `id`, above `after`."""
    c = decisions.c
    query = (
        select(c.id, c.features, c.fraud_probability, c.event_time_s, c.sent_values)
        .where(c.id > after, c.scored_at >= since, c.scored_at < until, c.model_digest == model_digest)
        .order_by(c.id)
        .limit(PAGE_ROWS)
    )
    if step > 1:
        query = query.where(c.id % step == 0)
    return [ServedRow(*row) for row in connection.execute(query)]
