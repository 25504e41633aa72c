"""A DataFrame in the schema's terms -> X: what training and backtests use.

The frame's columns are named as the schema's fields. A column that is absent was never sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from config.schema.model import Field
from ml.features.columns import read_numbers, read_seconds, read_texts, read_values
from ml.features.compiled import Floats, Integers
from ml.features.elapsed import fill_elapsed
from ml.features.offline import EntityColumns, labels_after_delay, replay
from ml.features.spec import EntitySpec, FeatureSpec

MAX_CATEGORIES: Final = 254


@dataclass(frozen=True, slots=True)
class Clock:
    """When each row of a frame happened.

    `times`: (n,) Unix seconds in frame order. `source`: `event time`, or `row order` when the data has
    none: then row i happened at second i, and windows count rows. `filled`: rows without a time of their
    own, which got that of the row before.
    """

    times: Floats
    source: Literal["event time", "row order"]
    filled: int = 0


def read_clock(frame: pd.DataFrame, spec: FeatureSpec) -> Clock:
    """The event time of each row. Raises InvalidTransaction when the column cannot be read as times."""
    name = spec.schema.roles.event_time
    if name is None or name not in frame or bool(frame[name].isna().all()):
        return Clock(np.arange(len(frame), dtype=np.float64), "row order")
    times = pd.Series(read_seconds(frame[name], _field(spec, name)))
    return Clock(times.ffill().bfill().to_numpy(np.float64), "event time", int(times.isna().sum()))


def fit_vocabularies(
    frame: pd.DataFrame, spec: FeatureSpec, max_categories: int = MAX_CATEGORIES
) -> dict[str, dict[str, int]]:
    """Codes for the values of each category field: 0 for the most frequent, ties in text order.

    At most `max_categories` values get a code (histogram boosting knows 255); rarer ones are unknown. A
    field that the frame does not have gets an empty vocabulary.
    """
    return {
        field.name: _vocabulary(frame[field.name], field, max_categories) if field.name in frame else {}
        for field in spec.schema.model_fields
        if field.type == "category"
    }


def _vocabulary(column: pd.Series, field: Field, max_categories: int) -> dict[str, int]:
    texts = read_texts(column, field)
    ranked = sorted(zip(-texts.counts(), texts.values, strict=True))
    return {text: code for code, (_, text) in enumerate(ranked[:max_categories])}


def assemble_frame(
    frame: pd.DataFrame,
    spec: FeatureSpec,
    vocabularies: Mapping[str, Mapping[str, int]],
    *,
    is_fraud: Floats | None,
    label_delay_s: float,
) -> Floats:
    """X of a data set in frame order: (n, p) float64, C-contiguous, each row as the scoring worker would
    have seen it.

    Rows arrive in the order of their event times (ties in frame order). `is_fraud`: (n,) 0, 1, NaN where
    unknown; each becomes known `label_delay_s` after its transaction; None: no label is ever known. Without
    event times nothing is derived from the calendar.

    Raises:
        InvalidTransaction: a column holds what its field's type does not allow; the first such row is named.
    """
    X = np.full((len(frame), len(spec.columns)), np.nan)
    for column, field in enumerate(spec.schema.model_fields):
        if field.name in frame:
            X[:, column] = _values(frame[field.name], field, vocabularies)
    if not spec.entities and not len(spec.calendar) and not spec.elapsed:
        return X
    clock = read_clock(frame, spec)
    if clock.source == "event time":
        _fill_elapsed(frame, spec, clock.times, X)
    order = np.argsort(clock.times, kind="stable")
    # Rows in time order, the usual case, are filled in place: X is the largest thing in memory.
    in_order = bool(np.all(order[1:] > order[:-1]))
    arrived = X if in_order else X[order]
    _replay_frame(frame, spec, clock, order=order, is_fraud=is_fraud, label_delay_s=label_delay_s, X=arrived)
    if not in_order:
        X[order] = arrived
    return X


def mask_history(X: Floats, spec: FeatureSpec, share: float, rng: np.random.Generator) -> None:
    """Forget the history features of a random `share` of rows, in place.

    A model trained so can score clients that name no entity: their history is NaN too.
    """
    masked = rng.random(len(X)) < share
    X[masked, len(spec.sources) :] = np.nan


def _values(column: pd.Series, field: Field, vocabularies: Mapping[str, Mapping[str, int]]) -> Floats:
    if field.type != "category":
        return read_numbers(column, field)
    codes = vocabularies[field.name]
    return read_texts(column, field).translate(lambda text: codes.get(text, math.nan))


def _fill_elapsed(frame: pd.DataFrame, spec: FeatureSpec, times: Floats, X: Floats) -> None:
    for one in spec.elapsed:
        if one.field in frame:
            fill_elapsed(one, times, read_seconds(frame[one.field], _field(spec, one.field)), X)


def _replay_frame(
    frame: pd.DataFrame,
    spec: FeatureSpec,
    clock: Clock,
    *,
    order: Integers,
    is_fraud: Floats | None,
    label_delay_s: float,
    X: Floats,
) -> None:
    times = clock.times[order]
    labels = None if is_fraud is None else labels_after_delay(times, is_fraud[order], label_delay_s)
    entities = {entity.name: _entity_columns(frame, spec, entity, order) for entity in spec.entities}
    replay(spec, times, entities=entities, labels=labels, X=X, has_calendar=clock.source == "event time")


def _entity_columns(frame: pd.DataFrame, spec: FeatureSpec, entity: EntitySpec, order: Integers) -> EntityColumns:
    """Who each row belongs to and what is kept of it, in arrival order."""
    codes = np.full(len(frame), -1, np.int64)
    if entity.field in frame:
        codes = read_texts(frame[entity.field], _field(spec, entity.field)).codes
    kept = np.full((len(frame), len(entity.record)), np.nan)
    for place, name in enumerate(entity.record):
        if name in frame:
            kept[:, place] = read_values(frame[name], _field(spec, name))
    return EntityColumns(codes[order], kept[order])


def _field(spec: FeatureSpec, name: str) -> Field:
    return next(field for field in spec.schema.fields if field.name == name)
