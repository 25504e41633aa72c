"""Try the candidates on the past, choose by average precision on the validation window, fit the winner on
everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from sklearn.pipeline import Pipeline

from ml.evaluation.ranking import Ranked
from ml.features.compiled import Floats
from ml.linear_term import LinearTerm, read_linear
from ml.training.baseline import fit_linear
from ml.training.blend import Blend, choose_blend, linear_alone
from ml.training.candidates import Candidate, TrainingRows, fit_candidate, pick_rows, shrink, training_rows
from ml.training.dataset import Dataset

SELECTION_ROWS: Final = 150_000
FINAL_ROWS: Final = 1_000_000
LINEAR: Final = "linear model"
ENOUGH_FRAUDS: Final = 200
"""Frauds in the validation window from which ranks and money are read off labels; with fewer, off likelihoods."""
BUDGET_S: Final = 150.0
"""No further candidate is started after this long; what was tried is compared."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """One model that was tried: figures on the validation window. `rows`: how many it was fitted on."""

    name: str
    average_precision: float
    roc_auc: float
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Selection:
    """The winner fitted on the whole training window, the linear baseline, and all that was tried.

    `term`: the baseline as it would serve. `candidate`: the best boosted one, whether it serves or not.
    """

    model: Blend
    linear: Pipeline
    term: LinearTerm
    candidate: Candidate
    trials: list[Trial]
    notes: list[str]

    @property
    def winner(self) -> str:
        """What serves, in words."""
        return LINEAR if self.model.trees is None else self.candidate.name

    def without_trees(self, note: str) -> Selection:
        """The same with the linear model alone; `note` says why."""
        return replace(self, model=linear_alone(self.term), notes=[*self.notes, note])


def select_model(
    dataset: Dataset, candidates: Sequence[Candidate], validation_X: Floats, *, seed: int, say: Say
) -> Selection:
    """Fit the linear baseline and the candidates. `validation_X`: X of the validation window, masked as it
    is served.
    """
    y = dataset.y[dataset.split.validate]
    started = time.perf_counter()
    say("fitting the linear baseline")
    linear, trial = _try_linear(dataset, validation_X, y, seed)
    trials, notes = [trial], []
    tried: list[_Tried] = []
    frauds = int(dataset.y[dataset.split.train].sum())
    for candidate in candidates:
        if frauds < candidate.min_frauds:
            continue
        if tried and time.perf_counter() - started > BUDGET_S:
            notes.append(f"not tried, to stay within minutes: {candidate.name}")
            continue
        say(f"trying {candidate.name}")
        tried.append(_try(dataset, candidate, validation_X, y, seed))
    best = max(tried, key=lambda one: one.trial.average_precision)
    trials += [one.trial for one in tried]
    say(f"fitting {best.candidate.name} on the whole training window")
    term = read_linear(linear, _rows(dataset, None, SELECTION_ROWS, seed).X, dataset.categories)
    model, final = _finish(dataset, best, term, validation_X, y, seed)
    return Selection(model, linear, term, best.candidate, [*trials, final], notes)


@dataclass(frozen=True, slots=True)
class _Tried:
    candidate: Candidate
    model: Pipeline
    trial: Trial


def _finish(dataset: Dataset, best: _Tried, linear: LinearTerm, X: Floats, y: Floats, seed: int) -> tuple[Blend, Trial]:
    """The winner on all rows (unless it had them already), with as much of the linear model as helps, or that
    alone.
    """
    weight = dataset.weights(dataset.split.validate)
    started = time.perf_counter()
    rows = _rows(dataset, best.candidate.good_per_fraud, FINAL_ROWS, seed)
    trees = best.model
    if len(rows.y) > best.trial.rows:
        trees = fit_candidate(dataset, rows, shrink(best.candidate, int(rows.y.sum())), seed=seed)
    model = choose_blend(trees, linear, X, y, weight, enough_frauds=ENOUGH_FRAUDS)
    name = f"final: {_name(model, best)}"
    return model, _trial(name, model, X, y, rows=len(rows.y), started=started, weight=weight)


def _name(model: Blend, best: _Tried) -> str:
    if model.trees is None:
        return LINEAR
    return f"{best.candidate.name} + {model.share:g} x linear" if model.linear else best.candidate.name


def _rows(dataset: Dataset, good_per_fraud: int | None, most: int, seed: int) -> TrainingRows:
    rng = np.random.default_rng(seed)
    return training_rows(dataset, pick_rows(dataset, good_per_fraud=good_per_fraud, most=most, rng=rng), rng)


def _try_linear(dataset: Dataset, X: Floats, y: Floats, seed: int) -> tuple[Pipeline, Trial]:
    weight = dataset.weights(dataset.split.validate)
    started = time.perf_counter()
    rows = _rows(dataset, None, SELECTION_ROWS, seed)
    model = fit_linear(dataset, rows, seed=seed)
    return model, _trial("linear baseline", model, X, y, rows=len(rows.y), started=started, weight=weight)


def _try(dataset: Dataset, candidate: Candidate, X: Floats, y: Floats, seed: int) -> _Tried:
    weight = dataset.weights(dataset.split.validate)
    started = time.perf_counter()
    rows = _rows(dataset, candidate.good_per_fraud, SELECTION_ROWS, seed)
    model = fit_candidate(dataset, rows, shrink(candidate, int(rows.y.sum())), seed=seed)
    return _Tried(
        candidate, model, _trial(candidate.name, model, X, y, rows=len(rows.y), started=started, weight=weight)
    )


def _trial(
    name: str, model: Pipeline | Blend, X: Floats, y: Floats, *, rows: int, started: float, weight: Floats | None
) -> Trial:
    ranked = Ranked(y, model.decision_function(X))
    average_precision, roc_auc = ranked.average_precision(weight), ranked.roc_auc(weight)
    seconds = time.perf_counter() - started
    return Trial(name, average_precision, roc_auc, rows, round(seconds, 2))
