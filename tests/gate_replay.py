"""A replay of the gate over later and later blocks: what it decides each time a challenger is trained.

Every challenger is fitted, calibrated and given thresholds on what was known before its block; champion and challenger
are judged on the block, as in production.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from config.schema.model import Schema
from ml.calibration import fit_sigmoid
from ml.evaluation.cost import CostModel, best_thresholds
from ml.extra_columns import ExtraColumns
from ml.features.compiled import Floats, Integers
from ml.features.spec import FeatureSpec
from ml.gate.evidence import Build, Contender, Evidence, Window
from ml.gate.gate import decide
from ml.gate.policy import GatePolicy
from ml.gate.verdict import GateReport
from ml.training.baseline import fit_linear
from ml.training.candidates import Candidate, fit_candidate, pick_rows, training_rows
from ml.training.data import LabelledData
from ml.training.dataset import Dataset, make_dataset
from ml.training.split import Split

DAY_S = 86_400.0
SMALL = Candidate("small", 60, 0.1, 8, 10.0, 20)
MOST_ROWS = 40_000
BUILD = Build(0.0, 100_000, 10.0)
COSTS = CostModel()


@dataclass(frozen=True)
class Replay:
    """`history_days`: what a model learns from; its newest `calibrate_days` set calibration and thresholds."""

    dataset: Dataset
    delay_days: float
    block_days: float
    history_days: float
    calibrate_days: float = 7.0

    def train(self, until_s: float, *, seed: int = 0) -> Model:
        """A model from the labels of the `history_days` before `until_s`."""
        fit_until_s = until_s - self.calibrate_days * DAY_S
        fitted = self.rows(until_s - self.history_days * DAY_S, fit_until_s)
        return fit(self.dataset, fitted, self.rows(fit_until_s, until_s), seed=seed)

    def rows(self, from_s: float, until_s: float) -> Integers:
        times = self.dataset.times
        return np.flatnonzero((times >= from_s) & (times < until_s) & ~np.isnan(self.dataset.y))

    def window(self, rows: Integers) -> Window:
        """The block as the gate sees it."""
        data = self.dataset
        assert data.cards is not None
        amount = COSTS.amounts(None if data.amount is None else data.amount[rows], len(rows))
        before = (data.times < data.times[rows].min() - self.delay_days * DAY_S) & (data.y > 0)
        known = frozenset(data.cards[before].tolist())
        return Window(data.y[rows], amount, data.cards[rows], data.days[rows], data.times[rows], known)

    def judge(self, champion: Model, challenger: Model, rows: Integers, *, late_days: float = 0.0) -> GateReport:
        """The gate on one block, `late_days` after its labels have arrived."""
        X, times = self.dataset.X[rows], self.dataset.times[rows]
        evidence = Evidence(
            self.window(rows),
            champion.on(X, "champion"),
            challenger.on(X, "challenger"),
            challenger.linear.decision_function(X),
            BUILD,
            as_of_s=float(times.max()) + (self.delay_days + late_days) * DAY_S,
        )
        policy = GatePolicy(label_delay_s=self.delay_days * DAY_S, rounds=100)
        return decide(evidence, policy, rng=np.random.default_rng(0))

    def decisions(self, first_s: float, last_s: float) -> Iterator[GateReport]:
        """The gate's report on each block; a promoted challenger is the champion of the next."""
        champion = self.train(first_s - self.delay_days * DAY_S)
        start_s = first_s
        while start_s + self.block_days * DAY_S <= last_s:
            challenger = self.train(start_s - self.delay_days * DAY_S, seed=1)
            report = self.judge(champion, challenger, self.rows(start_s, start_s + self.block_days * DAY_S))
            yield report
            champion = challenger if report.outcome == "promote" else champion
            start_s += self.block_days * DAY_S


@dataclass(frozen=True)
class Model:
    """A fitted model and what it learned from."""

    pipeline: Pipeline
    linear: Pipeline
    calibrated: tuple[Floats, Floats]
    amount: Floats
    trained_until_s: float

    def on(self, X: Floats, name: str) -> Contender:
        raw, y = self.calibrated
        sigmoid = fit_sigmoid(raw, y)
        thresholds = best_thresholds(y, sigmoid(raw), self.amount, COSTS)
        return Contender(name, sigmoid(self.pipeline.decision_function(X)), thresholds, self.trained_until_s)


def fit(dataset: Dataset, fitted: Integers, calibrated: Integers, *, seed: int, collapse: bool = False) -> Model:
    """Fit on some rows, calibrate on later ones. `collapse`: scikit-learn's defaults, unregularised and unthinned."""
    within = replace(dataset, split=Split(fitted, calibrated, calibrated[:0], 0.0))
    rng = np.random.default_rng(seed)
    rows = training_rows(within, pick_rows(within, good_per_fraud=None, most=MOST_ROWS, rng=rng), rng)
    pipeline = unregularised(dataset, fitted) if collapse else fit_candidate(within, rows, SMALL, seed=seed)
    X = dataset.X[calibrated]
    amount = COSTS.amounts(None if dataset.amount is None else dataset.amount[calibrated], len(calibrated))
    return Model(
        pipeline,
        fit_linear(within, rows, seed=seed),
        (pipeline.decision_function(X), dataset.y[calibrated]),
        amount,
        float(dataset.times[calibrated].max()),
    )


def unregularised(dataset: Dataset, rows: Integers) -> Pipeline:
    """What someone gets who never heard of the trap: default leaves and rate, no penalty."""
    trees = HistGradientBoostingClassifier(early_stopping=False, random_state=0)
    trees.fit(dataset.X[rows], dataset.y[rows])
    return make_pipeline(ExtraColumns(), trees)


def dataset_of(data: LabelledData, schema: Schema, *, delay_days: float) -> Dataset:
    """Features point in time, labels known after the delay."""
    return make_dataset(data, FeatureSpec.from_schema(schema, 128), label_delay_s=delay_days * DAY_S)
