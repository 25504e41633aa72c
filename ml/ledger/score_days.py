"""Sums by score bin, per day and model: `ml.advisor.scores.DayScores`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, insert, select

from ml.advisor.scores import DayScores
from ml.ledger.tables import score_days


def replace_day(connection: Connection, day: str, scores: Sequence[DayScores]) -> None:
    """These are the scores of the day, whatever there was."""
    connection.execute(delete(score_days).where(score_days.c.day == day))
    if scores:
        connection.execute(insert(score_days), [msgspec.to_builtins(one) for one in scores])


def scores_between(connection: Connection, since: str, until: str) -> list[DayScores]:
    """The scores of the days in [since, until), by day."""
    query = select(score_days).where(score_days.c.day >= since, score_days.c.day < until)
    rows = connection.execute(query.order_by(score_days.c.day, score_days.c.model_version)).mappings()
    return [msgspec.convert({name: row[name] for name in DayScores.__struct_fields__}, DayScores) for row in rows]
