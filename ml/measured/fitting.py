"""A model of one fold: chosen on the days before by the code that trains every model, fitted on the fold's own rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml.calibration import Sigmoid, fit_sigmoid
from ml.decisions import Thresholds
from ml.evaluation.cost import CostModel, best_thresholds
from ml.features.compiled import Floats
from ml.linear_term import read_linear
from ml.training.baseline import fit_linear
from ml.training.blend import Blend
from ml.training.candidates import Candidate, TrainingRows, fit_candidate, pick_rows, shrink, training_rows
from ml.training.dataset import Dataset
from ml.training.selection import FINAL_ROWS, Say, Selection, select_model

COSTS = CostModel()


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen on earlier days: the kind of model, and what turns its scores into probabilities and actions."""

    selection: Selection
    calibrator: Sigmoid
    thresholds: Thresholds

    @property
    def name(self) -> str:
        """The model in words."""
        share = self.selection.model.share
        return f"{self.selection.winner} + {share:g} x linear" if share else self.selection.winner

    def instead(self, candidate: Candidate) -> Choice:
        """The same with the trees of another candidate, alone."""
        model = Blend(self.selection.model.trees)
        return replace(self, selection=replace(self.selection, candidate=candidate, model=model))


def choose(earlier: Sequence[Dataset], candidates: Sequence[Candidate], *, seed: int, say: Say) -> Choice:
    """Try the candidates on the training window of each split, compare them by their mean on the validation windows.

    `earlier`: the newest first; there the winner is calibrated, and blended with the linear model if it should be.
    """
    if len(earlier) > 1:
        candidates = [_best_on_average(earlier, candidates, seed=seed, say=say)]
    dataset = earlier[0]
    rows = dataset.split.validate
    X, y = dataset.X[rows], dataset.y[rows]
    selection = select_model(dataset, candidates, X, seed=seed, say=say)
    raw = selection.model.decision_function(X)
    calibrator = fit_sigmoid(raw, y)
    amount = COSTS.amounts(None if dataset.amount is None else dataset.amount[rows], len(y))
    return Choice(selection, calibrator, best_thresholds(y, calibrator(raw), amount, COSTS))


def refit(dataset: Dataset, choice: Choice, *, seed: int) -> Blend:
    """The chosen kind of model on the training window of `dataset.split`."""
    model, candidate = choice.selection.model, choice.selection.candidate
    rows = _rows(dataset, candidate.good_per_fraud, seed)
    fitted = shrink(candidate, int(rows.y.sum()))
    trees = None if model.trees is None else fit_candidate(dataset, rows, fitted, seed=seed)
    if model.linear is None:
        return Blend(trees)
    plain = _rows(dataset, None, seed)
    return Blend(trees, read_linear(fit_linear(dataset, plain, seed=seed), plain.X, dataset.categories), model.share)


def _best_on_average(earlier: Sequence[Dataset], candidates: Sequence[Candidate], *, seed: int, say: Say) -> Candidate:
    reached: dict[str, float] = defaultdict(float)
    for dataset in earlier:
        tried = select_model(dataset, candidates, dataset.X[dataset.split.validate], seed=seed, say=say).trials
        for trial in tried:
            reached[trial.name] += trial.average_precision
    return max(candidates, key=lambda one: reached[one.name])


def scores(dataset: Dataset, model: Blend) -> Floats:
    """(n,) log-odds of the test window."""
    return model.decision_function(dataset.X[dataset.split.test])


def _rows(dataset: Dataset, good_per_fraud: int | None, seed: int) -> TrainingRows:
    rng = np.random.default_rng(seed)
    return training_rows(dataset, pick_rows(dataset, good_per_fraud=good_per_fraud, most=FINAL_ROWS, rng=rng), rng)
