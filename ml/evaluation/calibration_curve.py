"""Do the probabilities mean what they say?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.features.compiled import Floats


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """Per bin of equally many payments: mean predicted probability, share of fraud, number of payments."""

    predicted: Floats
    observed: Floats
    count: Floats


def calibration_curve(y: Floats, probability: Floats, bins: int = 20) -> CalibrationCurve:
    """Reliability by quantile bins, which suit rare fraud: most probabilities are near 0. All arrays (n,)."""
    groups = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(y)))
    return CalibrationCurve(
        predicted=np.array([probability[group].mean() for group in groups]),
        observed=np.array([y[group].mean() for group in groups]),
        count=np.array([float(len(group)) for group in groups]),
    )


def brier(y: Floats, probability: Floats) -> float:
    """Mean squared error of the probabilities (Brier 1950)."""
    return float(np.mean((probability - y) ** 2))


def log_loss(y: Floats, probability: Floats) -> float:
    """Mean negative log-likelihood in nats; probabilities are kept 1e-15 away from 0 and 1."""
    p = np.clip(probability, 1e-15, 1 - 1e-15)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))
