"""A labelled frame as arrays: X with its columns' meaning, and everything that judging needs beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from ml.features.compiled import Floats, Integers
from ml.features.frame import assemble_frame, fit_vocabularies, read_clock
from ml.features.spec import FeatureSpec
from ml.training.data import LabelledData
from ml.training.split import Split, is_wall_clock, split_by_time

MAX_VALUES: Final = 20_000
"""Values of a category that get a code; histogram boosting sees the 254 most frequent, rates see all of
these.
"""
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Dataset:
    """All arrays have one entry per row of the frame.

    `X`: (n, p) float64. `y`: 0, 1 or NaN. `times`: event time in seconds. `days`: day number, 0 where the
    data has no real clock. `amount`: NaN where missing, None without an amount role. `cards`: codes of the
    first entity (-1: none), None without entities. `categories`: column -> number of codes.
    `weight`: how many transactions a row stands for; None: one each.
    """

    X: Floats
    y: Floats
    times: Floats
    days: Integers
    amount: Floats | None
    cards: Integers | None
    card_name: str | None
    spec: FeatureSpec
    vocabularies: dict[str, dict[str, int]]
    categories: dict[int, int]
    split: Split
    clock: str
    weight: Floats | None = None

    def weights(self, rows: Integers) -> Floats | None:
        """(m,) how many transactions each of these rows stands for; None: one each."""
        return None if self.weight is None else self.weight[rows]

    @property
    def amount_column(self) -> int | None:
        """Where the amount is in X."""
        name = self.spec.schema.roles.amount
        return self.spec.columns.index(name) if name in self.spec.columns else None


def make_dataset(data: LabelledData, spec: FeatureSpec, *, label_delay_s: float) -> Dataset:
    """Split in time, learn vocabularies from the training window, compute every column point in time.

    Raises:
        InvalidTransaction: a column holds what its field's type does not allow.
        ModelRefused: there are too few frauds to split.
    """
    clock = read_clock(data.frame, spec)
    split = split_by_time(clock.times, data.y, label_delay_s=label_delay_s, source=clock.source)
    vocabularies = fit_vocabularies(data.frame.iloc[split.train], spec, MAX_VALUES)
    X = assemble_frame(data.frame, spec, vocabularies, is_fraud=data.y, label_delay_s=label_delay_s)
    X[np.isinf(X)] = np.nan
    roles = spec.schema.roles
    card_name = roles.entities[0][0] if roles.entities else None
    wall_clock = clock.source == "event time" and is_wall_clock(clock.times)
    return Dataset(
        X=X,
        y=data.y,
        times=clock.times,
        days=(clock.times // _DAY_S).astype(np.int64) if wall_clock else np.zeros(len(X), dtype=np.int64),
        amount=_amount(X, spec),
        cards=_cards(data.frame, roles.entities[0][1]) if roles.entities else None,
        card_name=card_name,
        spec=spec,
        vocabularies=vocabularies,
        categories={spec.columns.index(name): len(vocabularies[name]) for name in spec.categories},
        split=split,
        clock=clock.source,
    )


def _amount(X: Floats, spec: FeatureSpec) -> Floats | None:
    name = spec.schema.roles.amount
    return X[:, spec.columns.index(name)].copy() if name in spec.columns else None


def _cards(frame: pd.DataFrame, name: str) -> Integers | None:
    if name not in frame:
        return None
    return np.asarray(pd.factorize(frame[name])[0], dtype=np.int64)
