"""The derived fields and history features of a draft: what the entities, the amount and the time allow."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from config.schema.model import TIME_UNITS_S
from ml.drafting import names
from ml.drafting.fields import Table, quoted, time_unit
from ml.drafting.leaks import leaks_label, separates
from ml.drafting.profile import Column
from ml.drafting.roles import Guess

_DAY_S = 86_400.0
_LABEL_DELAY = "7d"
_MOSTLY = 0.5
_WINDOWS = (("1h", 0.0), ("1d", 0.0), ("7d", 3 * _DAY_S), ("30d", 14 * _DAY_S))
"""Windows, each with the span of data (seconds) from which on it says more than the one before."""


def draft_calendar(guess: Guess, columns: dict[str, Column], taken: set[str]) -> list[Table]:
    """Fields for hour and day of week, where the event time is a real date. They need not be sent.

    `taken`: the names in use, here and in `draft_features`; new ones are added.
    """
    if guess.event_time is None or columns[guess.event_time].kind != "time":
        return []
    tables = []
    for part, highest in (("hour", 23), ("day_of_week", 6)):
        name = free_name(part if part not in taken else f"event_{part}", taken)
        derived = f"{{ calendar = {quoted(part)} }}"
        keys = {"type": '"integer"', "min": "0", "max": str(highest), "required": "false", "derived": derived}
        tables.append(Table(("fields", name), keys))
    return tables


def draft_elapsed(guess: Guess, columns: dict[str, Column], taken: set[str], is_fraud: pd.Series) -> list[Table]:
    """Days since every other time, such as a date of birth, as a model input; not where the time is known only after
    the payment. `is_fraud`: (n,) 0.0, 1.0 or NaN, by the sample's index.
    """
    if guess.event_time is None:
        return []
    event_s = _moments(columns[guess.event_time])
    tables = []
    for column in columns.values():
        if column.kind == "time" and column.name not in guess.columns and _is_known_in_time(column, event_s, is_fraud):
            derived = f"{{ since = {quoted(column.name)} }}"
            keys = {"type": '"number"', "unit": '"days"', "required": "false", "derived": derived}
            tables.append(Table(("fields", free_name(f"days_since_{column.name}"[:256], taken)), keys))
    return tables


def _is_known_in_time(column: Column, event_s: pd.Series, is_fraud: pd.Series) -> bool:
    """Whether a time is there when the payment is made, as far as its name, its place and the label tell."""
    said = set(names.words(column.name))
    if said & (names.TELLS_LABEL | names.TIMES_AFTER):
        return False
    elapsed_s = (event_s - _moments(column)).dropna().rename(column.name)
    if elapsed_s.nunique() < 2 or (not said & names.TIMES_AHEAD and (elapsed_s < 0).mean() > _MOSTLY):
        return False
    number = Column(column.name, "number", elapsed_s, elapsed_s.nunique(), column.has_nulls)
    is_there = pd.Series(is_fraud.index.isin(column.values.index), index=is_fraud.index, name=column.name)
    presence = Column(column.name, "boolean", is_there, is_there.nunique(), False)
    return not (separates(number, is_fraud) or leaks_label(presence, is_fraud))


def draft_features(guess: Guess, columns: dict[str, Column], taken: set[str]) -> list[Table]:
    """History features of every entity."""
    span_s = _span_s(columns[guess.event_time]) if guess.event_time else 0.0
    tables: list[Table] = []
    for entity in guess.entities:
        wanted = _timed(guess, span_s) if guess.event_time else _untimed(guess)
        for aggregate, window in wanted:
            tables.append(_feature(entity, aggregate, window, guess, taken))
    return tables


def free_name(name: str, taken: set[str]) -> str:
    """`name`, numbered if it is taken; taken from now on."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free)
    return free


def _timed(guess: Guess, span_s: float) -> Iterable[tuple[str, str | None]]:
    windows = [window for window, from_s in _WINDOWS if span_s >= from_s]
    longest = windows[-1]
    yield from (("count", window) for window in windows)
    yield "time_since_last", None
    if guess.amount:
        yield from (("mean", window) for window in windows[1:])
        yield from ((aggregate, longest) for aggregate in ("max", "ratio_to_mean", "zscore"))
    if span_s >= 14 * _DAY_S:
        yield from (("fraud_rate", window) for window in windows[1:])


def _untimed(guess: Guess) -> Iterable[tuple[str, str | None]]:
    yield "count", None
    if guess.amount:
        yield from ((aggregate, None) for aggregate in ("mean", "max", "ratio_to_mean", "zscore"))


def _feature(entity: str, aggregate: str, window: str | None, guess: Guess, taken: set[str]) -> Table:
    looks_at_amount = aggregate in ("mean", "max", "ratio_to_mean", "zscore")
    parts = (entity, "amount" if looks_at_amount else None, aggregate, window)
    keys = {"entity": quoted(entity), "aggregate": quoted(aggregate)}
    if looks_at_amount and guess.amount:
        keys["of"] = quoted(guess.amount)
    if window:
        keys["window"] = quoted(window)
    if aggregate == "fraud_rate":
        keys["delay"] = quoted(_LABEL_DELAY)
    if aggregate == "count":
        keys["default"] = "0"
    return Table(("features", free_name("_".join(part for part in parts if part), taken)), keys)


def _span_s(column: Column) -> float:
    """From the first to the last event of the sample, seconds."""
    moments = _moments(column)
    return float(moments.max() - moments.min())


def _moments(column: Column) -> pd.Series:
    """Times as Unix seconds, by the sample's index; NaN for those outside the years that pandas knows."""
    if column.is_numeric:
        return column.values.astype("float64") * TIME_UNITS_S[time_unit(column)]
    pattern = "ISO8601" if column.format == "rfc3339" else column.format
    times = pd.to_datetime(column.values, format=pattern, utc=True, errors="coerce")
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
