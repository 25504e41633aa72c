"""Random labelled tables for any schema: what tests and dry runs of other people's schemas are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from config.schema.model import Field, Schema
from ml.simulator.stream import Stretch

START_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
CATEGORY_COUNTS: Final = (3, 6, 12, 40, 150)
"""How many values the category fields have, in turn: from a handful to many."""
LABEL_FIELDS: Final = 5
"""How many fields the label depends on; the others are noise."""


def simulate_table(
    schema: Schema,
    n: int,
    rng: np.random.Generator,
    *,
    fraud_share: float = 0.02,
    missing_share: float = 0.2,
    days: float = 60.0,
    start_at: datetime = START_AT,
) -> pd.DataFrame:
    """`n` random rows that the schema allows, in time order, with a label that a model can partly learn.

    Every field gets a column, but for those that the schema can derive. Values keep to the bounds; a `missing_share`
    of cells is empty in fields that may be, but not in those with a role. The label depends on up to five model
    fields (a weighted sum of ranks, one product of two, and noise); the `fraud_share` of rows with the highest sum
    is 1, all others 0.

    Raises ValueError: `n` is not positive, or a share is not 0 to 1.
    """
    if n < 1 or not (0 <= fraud_share <= 1 and 0 <= missing_share <= 1):
        raise ValueError(f"need n >= 1 and shares of 0 to 1, got {n}, {fraud_share} and {missing_share}")
    stretch = Stretch(start_at.timestamp(), days)
    fields = [field for field in schema.fields if field.derived is None]
    columns = {field.name: _column(field, number, schema, n, rng, stretch) for number, field in enumerate(fields)}
    frame = pd.DataFrame(columns)
    chosen = [field.name for field in schema.model_fields if field.name in columns][:LABEL_FIELDS]
    label = _label(frame, chosen, fraud_share, rng)
    for field in fields:
        if (field.nullable or not field.required) and field.name not in _with_a_role(schema):
            _empty_some(frame, field.name, missing_share, rng)
    frame[schema.roles.label or "is_fraud"] = label
    return frame


def _with_a_role(schema: Schema) -> set[str | None]:
    """Fields that are always there: times, ids and amounts are what others are derived from."""
    roles = schema.roles
    return {roles.amount, roles.event_time, roles.transaction_id, *dict(roles.entities).values()}


def _column(field: Field, number: int, schema: Schema, n: int, rng: np.random.Generator, stretch: Stretch) -> Any:
    if field.name == schema.roles.transaction_id:
        return [f"row-{row:09d}" for row in range(n)]
    if field.name in dict(schema.roles.entities).values():
        return _texts(f"{field.name}-", max(2, n // 50), n, rng, field.max_length)
    if field.type == "timestamp":
        at_ms = np.sort(rng.uniform(stretch.start_s, stretch.end_s, n)) * 1000
        return pd.DatetimeIndex(at_ms.astype("datetime64[ms]")).tz_localize("UTC")
    if field.type == "boolean":
        return rng.random(n) < 0.3
    if field.type in ("category", "string", "id"):
        count = CATEGORY_COUNTS[number % len(CATEGORY_COUNTS)]
        return _texts("v", count, n, rng, field.max_length)
    return _numbers(field, number, n, rng)


def _texts(prefix: str, count: int, n: int, rng: np.random.Generator, max_length: int | None) -> NDArray[np.object_]:
    """Values by a Zipf law: a few are frequent, most are rare."""
    weights = 1.0 / np.arange(1, count + 1)
    names = np.array([f"{prefix}{number}"[-(max_length or 64) :] for number in range(count)], dtype=object)
    texts: NDArray[np.object_] = names[rng.choice(count, n, p=weights / weights.sum())]
    return texts


def _numbers(field: Field, number: int, n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Normal, log-normal and uniform in turn, within the bounds."""
    low = -np.inf if field.min is None else field.min
    high = np.inf if field.max is None else field.max
    if np.isfinite(low) and np.isfinite(high):
        drawn = rng.uniform(low, high, n)
    elif number % 2 or np.isfinite(low):
        drawn = (low if np.isfinite(low) else 0.0) + rng.lognormal(1.0, 1.0, n)
    else:
        drawn = np.minimum(rng.normal(0.0, 1.0, n), high)
    if field.type != "integer":
        return drawn
    whole = np.clip(np.round(drawn), np.ceil(low), np.floor(high))
    return whole.astype(np.int64)


def _label(frame: pd.DataFrame, chosen: list[str], fraud_share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """1 for the rows with the highest sum of weighted ranks, a product of the first two, and noise."""
    ranks = [_ranks(frame[name]) for name in chosen]
    weights = rng.uniform(1.0, 3.0, len(ranks)) * rng.choice([-1.0, 1.0], len(ranks))
    total = rng.normal(0.0, 0.6, len(frame))
    for weight, rank in zip(weights, ranks, strict=True):
        total += weight * rank
    if len(ranks) > 1:
        total += 4.0 * ranks[0] * ranks[1]
    label = np.zeros(len(frame), np.int64)
    label[np.argsort(-total)[: round(fraud_share * len(frame))]] = 1
    return label


def _ranks(column: pd.Series) -> NDArray[np.float64]:
    """Values as -0.5 .. 0.5 by rank; texts by a shuffled code, so that their order means nothing."""
    values = column
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        codes, names = pd.factorize(column)
        values = pd.Series((codes * 7919) % max(len(names), 1))
    ranks: NDArray[np.float64] = values.rank(pct=True).to_numpy(np.float64) - 0.5
    return ranks


def _empty_some(frame: pd.DataFrame, name: str, share: float, rng: np.random.Generator) -> None:
    frame[name] = frame[name].mask(rng.random(len(frame)) < share)
