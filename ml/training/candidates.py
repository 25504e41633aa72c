"""The boosted models that training tries: always regularised, never with scikit-learn's defaults (ADR
0006).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from ml.compiled.kernels import MAX_PATH_FEATURES
from ml.extra_columns import ExtraColumns, Tail
from ml.features.compiled import Floats, Integers
from ml.features.frame import mask_history
from ml.training.dataset import Dataset
from ml.training.target_rates import FittedRate, fit_rate

TAIL_QUANTILE: Final = 0.99
_BINNING_ROWS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """One configuration of the boosted trees.

    `tail`: add the amount's tail column. `native_values`: categories with more values than this become rates.
    `good_per_fraud`: how many good payments to keep per fraud; None: all. `min_frauds`: in the training window, without
    which it would only learn their noise. `columns_share`: of the columns that each split may choose from.
    """

    name: str
    iterations: int
    learning_rate: float
    leaves: int
    l2: float
    leaf_rows: int
    tail: bool = True
    native_values: int = 16
    good_per_fraud: int | None = None
    min_frauds: int = 0
    columns_share: float = 1.0


CANDIDATES: Final = (
    Candidate("small trees", 200, 0.05, 8, 10.0, 40),
    Candidate("middling trees", 300, 0.05, 16, 5.0, 40),
    Candidate("large trees", 300, 0.08, 31, 10.0, 30, good_per_fraud=100, min_frauds=1500),
    Candidate("nearly additive", 400, 0.1, 3, 10.0, 40, native_values=0),
    Candidate("few good payments", 300, 0.05, 12, 3.0, 15, good_per_fraud=60),
    Candidate("a third of the columns", 400, 0.03, 12, 5.0, 20, good_per_fraud=60, columns_share=0.3),
    Candidate("no tail column", 200, 0.05, 8, 10.0, 40, tail=False),
)
QUICK_CANDIDATES: Final = CANDIDATES[:2]


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """What one fit sees: rows of the training window, thinned and masked. `X`: (m, p), `y`: (m,), `weight`: (m,) or
    None.
    """

    X: Floats
    y: Floats
    weight: Floats | None = None


def pick_rows(dataset: Dataset, *, good_per_fraud: int | None, most: int | None, rng: np.random.Generator) -> Integers:
    """Row numbers of the training window in time order: every fraud, a random share of the good payments.

    The probabilities of a model fitted on thinned rows are too high; the calibration, fitted on a window
    where nothing was thinned, takes that out again (a shift of the log-odds, King and Zeng 2001).
    """
    train = dataset.split.train
    is_fraud = dataset.y[train] > 0
    frauds, good = np.flatnonzero(is_fraud), np.flatnonzero(~is_fraud)
    keep = len(good)
    if good_per_fraud is not None:
        keep = min(keep, good_per_fraud * len(frauds))
    if most is not None:
        keep = min(keep, max(most - len(frauds), len(frauds)))
    chosen: Integers = train[np.sort(np.concatenate([frauds, rng.choice(good, keep, replace=False)]))]
    return chosen


def training_rows(dataset: Dataset, rows: Integers, rng: np.random.Generator) -> TrainingRows:
    """A copy of the rows, with the history of the schema's `mask_history_share` of them hidden."""
    X = dataset.X[rows]
    share = dataset.spec.schema.mask_history_share
    if share:
        mask_history(X, dataset.spec, share, rng)
    return TrainingRows(X, dataset.y[rows], dataset.weights(rows))


def fit_candidate(dataset: Dataset, rows: TrainingRows, candidate: Candidate, *, seed: int) -> Pipeline:
    """Fit one configuration: `ExtraColumns`, then the trees; the scores are not calibrated."""
    tails = _tails(dataset, rows) if candidate.tail else ()
    rates = [
        fit_rate(rows.X[:, column], rows.y, source=column, n_codes=n_codes, weight=rows.weight)
        for column, n_codes in dataset.categories.items()
        if n_codes > candidate.native_values
    ]
    native = sorted(c for c, n_codes in dataset.categories.items() if n_codes <= candidate.native_values)
    extra = ExtraColumns(tails, tuple(fitted.rate for fitted in rates))
    trees = HistGradientBoostingClassifier(
        max_iter=candidate.iterations,
        learning_rate=candidate.learning_rate,
        max_leaf_nodes=candidate.leaves,
        max_depth=MAX_PATH_FEATURES,
        min_samples_leaf=candidate.leaf_rows,
        l2_regularization=candidate.l2,
        max_features=candidate.columns_share,
        categorical_features=native or None,
        early_stopping=False,
        random_state=seed,
    )
    trees.fit(_silence_rare(_with_out_of_fold(extra, rows.X, rates), candidate.leaf_rows), rows.y, rows.weight)
    return Pipeline([("columns", extra), ("trees", trees)])


def shrink(candidate: Candidate, n_frauds: int) -> Candidate:
    """The same with leaves that suit few frauds: no leaf needs more rows than a fifth of them."""
    return replace(candidate, leaf_rows=max(5, min(candidate.leaf_rows, n_frauds // 5)))


def _tails(dataset: Dataset, rows: TrainingRows) -> tuple[Tail, ...]:
    column = dataset.amount_column
    if column is None or np.isnan(rows.X[:, column]).all():
        return ()
    return (Tail(column, float(np.nanquantile(rows.X[:, column], TAIL_QUANTILE))),)


def _with_out_of_fold(extra: ExtraColumns, X: Floats, rates: list[FittedRate]) -> Floats:
    """The extra columns as serving computes them, but rates from the other folds."""
    extended = extra.transform(X)
    first = extended.shape[1] - len(rates)
    for place, fitted in enumerate(rates, start=first):
        extended[:, place] = fitted.out_of_fold
    return extended


def _silence_rare(X: Floats, leaf_rows: int) -> Floats:
    """Make columns constant that are (nearly) always missing, so that no split can use them.

    They have too few values to fill a leaf, and scikit-learn's binning raises ValueError on a column whose
    sample holds no value at all (the sample is `_BINNING_ROWS` rows at most).
    """
    fewest = leaf_rows if len(X) <= _BINNING_ROWS else max(leaf_rows, 100)
    rare = np.count_nonzero(~np.isnan(X), axis=0) < fewest
    if not rare.any():
        return X
    silenced: Floats = X.copy()
    silenced[:, rare] = 0.0
    return silenced
