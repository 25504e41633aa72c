"""The drift reference of a new model: what the newest part of its training data looked like, scored out of sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from ml.bundle import Bundle, BundleContents
from ml.drift.bins import Mask
from ml.drift.reference import Reference, make_reference
from ml.features.columns import read_texts
from ml.features.compiled import Integers
from ml.training.dataset import Dataset

MOST_ROWS: Final = 200_000


def reference_of(
    contents: BundleContents, dataset: Dataset, frame: pd.DataFrame, importances: Mapping[str, float]
) -> Reference:
    """Bins and counts over the rows from the validation window on, labelled or not: none of them was fitted on, and no
    history is still filling up as it is on the first days.
    """
    rows = _newest(dataset)
    X = dataset.X[rows]
    return make_reference(
        X,
        Bundle(contents, model_version="", digest="").score(X),
        names=dataset.spec.columns,
        days=dataset.days[rows] if dataset.days.any() else None,
        sent=_sent(dataset, frame, rows),
        importances=importances,
    )


def _newest(dataset: Dataset) -> Integers:
    """Row numbers in time order, from the first of the validation window on; of very many, every n-th."""
    is_newest = dataset.times >= dataset.times[dataset.split.validate].min()
    is_newest[dataset.split.train] = False
    order = np.argsort(dataset.times, kind="stable")
    newest = order[is_newest[order]]
    thinned: Integers = newest[:: 1 + (len(newest) - 1) // MOST_ROWS]
    return thinned


def _sent(dataset: Dataset, frame: pd.DataFrame, rows: Integers) -> dict[int, Mask]:
    """Category column -> whether a value was there at all: NaN in X is unknown or missing."""
    fields = dataset.spec.schema.by_name
    return {
        dataset.spec.columns.index(name): read_texts(frame[name].iloc[rows], fields[name]).codes >= 0
        if name in frame
        else np.zeros(len(rows), dtype=bool)
        for name in dataset.spec.categories
    }
