"""Simulated payments as a model would have served them, with or without something that changes on a day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.drift.check import Window, check_drift
from ml.drift.reference import Reference, make_reference
from ml.drift.report import DriftReport
from ml.features.columns import read_texts
from ml.features.frame import assemble_frame, fit_vocabularies
from ml.features.spec import FeatureSpec
from ml.simulator import simulate_payments

DAY_S = 86_400.0
FIT_DAYS, TRAINED_DAYS = 45, 80
"""The model is fitted on the first days; the reference is what follows until the end of the training data."""
ABOUT = DriftReport(
    status="too few decisions", detail="", model_version="m1", model_digest="d", since="", until="", decisions=0
)
Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Traffic:
    """Everything in time order. `at_day`: (n,) days since the start, with fractions."""

    spec: FeatureSpec
    X: np.ndarray
    score: np.ndarray
    at_day: np.ndarray
    sent: dict[int, np.ndarray]
    importances: dict[str, float]

    def reference(self) -> Reference:
        rows = (self.at_day >= FIT_DAYS) & (self.at_day < TRAINED_DAYS)
        return make_reference(
            self.X[rows],
            self.score[rows],
            names=self.spec.columns,
            days=self.at_day[rows].astype(np.int64),
            sent={place: is_sent[rows] for place, is_sent in self.sent.items()},
            importances=self.importances,
        )

    def window(self, until_day: float, *, length_days: float = 1.0) -> Window:
        rows = (self.at_day >= until_day - length_days) & (self.at_day < until_day)
        return Window(
            self.X[rows],
            self.score[rows],
            self.at_day[rows].astype(np.int64),
            {place: is_sent[rows] for place, is_sent in self.sent.items()},
        )

    def checks(self, until_days: np.ndarray) -> Iterator[DriftReport]:
        """One check per moment, over the day before it."""
        reference = self.reference()
        return (check_drift(reference, self.window(until), ABOUT) for until in until_days)


def simulate(
    *,
    seed: int,
    days: int,
    per_day: int,
    changes_on: float | None = None,
    change: Change | None = None,
    drift_day: float | None = None,
) -> Traffic:
    """`change` alters the payments from day `changes_on` on, before any feature is computed."""
    schema = load_schema(DEFAULT_SCHEMA)
    spec = FeatureSpec.from_schema(schema)
    rng = np.random.default_rng(seed)
    frame = simulate_payments(schema, days * per_day, rng, days=days, drift_day=drift_day)
    at_day = (frame["timestamp"] - frame["timestamp"].iloc[0].normalize()).dt.total_seconds().to_numpy() / DAY_S
    if change is not None and changes_on is not None:
        late = at_day >= changes_on
        frame = pd.concat([frame[~late], change(frame[late].copy(), rng)], ignore_index=True)
    y = frame[schema.roles.label].to_numpy(np.float64)
    vocabularies = fit_vocabularies(frame[at_day < FIT_DAYS], spec)
    X = assemble_frame(frame, spec, vocabularies, is_fraud=y, label_delay_s=7 * DAY_S)
    score, importances = _scored(spec, X, y, at_day)
    sent = {
        spec.columns.index(name): read_texts(frame[name], schema.by_name[name]).codes >= 0 for name in spec.categories
    }
    return Traffic(spec, X, score, at_day, sent, importances)


def _scored(spec: FeatureSpec, X: np.ndarray, y: np.ndarray, at_day: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    fitted = at_day < FIT_DAYS
    model = HistGradientBoostingClassifier(max_iter=60, l2_regularization=10, early_stopping=False, random_state=0)
    model.fit(X[fitted], y[fitted])
    score = model.predict_proba(X)[:, 1]
    return score, dict.fromkeys(spec.columns, 1.0)
