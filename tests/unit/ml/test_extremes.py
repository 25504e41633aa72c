"""What nobody means is bounded before anything is fitted on it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from ml.extremes import LARGEST, bounded
from ml.training.baseline import fit_linear


def test_what_is_beyond_is_bounded_and_what_is_missing_stays() -> None:
    found = bounded(np.array([1.7e308, -1.7e308, 12.5, np.nan, np.inf]))

    assert found[:3].tolist() == [LARGEST, -LARGEST, 12.5]
    assert np.isnan(found[3])
    assert found[4] == LARGEST


def test_a_linear_model_is_fitted_beside_amounts_that_nobody_pays() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(200, 2)), (np.arange(200) % 4 == 0).astype(float)
    X[7, 0], X[9, 0] = 1.7e308, -1.7e308
    dataset: Any = SimpleNamespace(categories=frozenset())
    rows: Any = SimpleNamespace(X=X, y=y, weight=None)

    scores = fit_linear(dataset, rows, seed=0).decision_function(bounded(X))

    assert np.isfinite(scores).all()
