"""The linear model that every boosted one has to beat: medians for gaps, indicators, scaling, one-hot
categories.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ml.extremes import bounded
from ml.training.candidates import TrainingRows
from ml.training.dataset import Dataset

MAX_ROWS: Final = 100_000
"""Rows the baseline is fitted on: more do not move a model with so few parameters."""
MAX_CATEGORIES: Final = 50


def fit_linear(dataset: Dataset, rows: TrainingRows, *, seed: int) -> Pipeline:
    """Fit on all frauds and at most `MAX_ROWS` rows. Its `decision_function` takes X as it is."""
    rng = np.random.default_rng(seed)
    frauds, good = np.flatnonzero(rows.y > 0), np.flatnonzero(rows.y == 0)
    keep = min(len(good), max(MAX_ROWS - len(frauds), len(frauds)))
    chosen = np.sort(np.concatenate([frauds, rng.choice(good, keep, replace=False)]))
    columns = linear_columns(rows.X.shape[1], dataset.categories)
    model = make_pipeline(columns, LogisticRegression(C=0.1, max_iter=300, tol=1e-3))
    weight = None if rows.weight is None else rows.weight[chosen]
    return model.fit(bounded(rows.X[chosen]), rows.y[chosen], logisticregression__sample_weight=weight)


def linear_columns(width: int, categories: Collection[int]) -> ColumnTransformer:
    """What a linear model sees of X, (n, width): scaled numbers and whether they are missing, one-hot `categories`."""
    numbers = [column for column in range(width) if column not in categories]
    return ColumnTransformer([("numbers", _numbers(), numbers), ("categories", _one_hot(), sorted(categories))])


def _numbers() -> Pipeline:
    # keep_empty_features: a column that is always missing must not shift the others.
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(impute, StandardScaler())


def _one_hot() -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=False)
