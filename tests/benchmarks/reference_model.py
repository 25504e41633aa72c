"""How the baselines score: one payment through a one-row DataFrame and a whole scikit-learn pipeline.

`BENCH_MODEL` names the pipeline's joblib file, which `deploy.bench.train` wrote.
"""

from __future__ import annotations

import os
from typing import Any

import joblib
import pandas as pd

COLUMNS = ["amount", "hour", "day_of_week", "merchant_category", "previous_amount", "time_since_last"]


def load_model() -> Any:
    """The pipeline. Raises KeyError when `BENCH_MODEL` is not set."""
    return joblib.load(os.environ["BENCH_MODEL"])


def score_many(model: Any, payments: list[dict[str, object]]) -> list[float]:
    """The fraud probabilities of many payments, through one DataFrame."""
    return [float(p) for p in model.predict_proba(pd.DataFrame(payments, columns=COLUMNS))[:, 1]]


def score(model: Any, payment: dict[str, object]) -> dict[str, object]:
    """The answer to one payment, scored as the in-process shape does it."""
    probability = float(model.predict_proba(pd.DataFrame([payment], columns=COLUMNS))[0, 1])
    return {"fraud_probability": probability, "is_fraud": probability > 0.5}
