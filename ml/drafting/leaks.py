"""Columns that give the label away: known only after the fact, so a model must not learn from them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.drafting import names
from ml.drafting.profile import Column

_MIN_FRAUDS = 20
_MAX_VALUES = 50
_NEARLY_ALL = 0.98


def leaks_label(column: Column, is_fraud: pd.Series) -> bool:
    """Whether the column is to be kept from the model: its values (nearly) are the label, or its name says so and
    its values follow the label closely.

    `is_fraud`: 0.0 or 1.0, by the sample's index; NaN where unknown.
    """
    is_named = bool(names.TELLS_LABEL & set(names.words(column.name)))
    if column.distinct < 2 or is_fraud.sum() < (1 if is_named else _MIN_FRAUDS):
        return False
    if column.distinct <= _MAX_VALUES and _f1_by_value(column.values, is_fraud) >= (0.5 if is_named else _NEARLY_ALL):
        return True
    return is_named and column.is_numeric and separates(column, is_fraud)


def separates(column: Column, is_fraud: pd.Series) -> bool:
    """Whether one threshold on a numeric column (nearly) tells fraud from genuine: suspicious, yet possible."""
    known = is_fraud.loc[column.values.index].dropna()
    frauds = known.sum()
    if not column.is_numeric or not _MIN_FRAUDS <= frauds < len(known):
        return False
    ranks = column.values.loc[known.index].rank().to_numpy(np.float64)
    wins = ranks[known.to_numpy() == 1.0].sum() - frauds * (frauds + 1) / 2
    area = wins / (frauds * (len(known) - frauds))
    return bool(max(area, 1 - area) > 0.9999)


def _f1_by_value(values: pd.Series, is_fraud: pd.Series) -> float:
    """F1 of the rule "fraud if most rows with this value are fraud"."""
    known = is_fraud.loc[values.index]
    groups = known.groupby(values, observed=True).agg(["sum", "count"])
    called = groups[groups["sum"] > groups["count"] / 2]
    wrong = (called["count"] - called["sum"]).sum()
    missed = is_fraud.sum() - called["sum"].sum()
    return float(2 * called["sum"].sum() / max(2 * called["sum"].sum() + wrong + missed, 1))
