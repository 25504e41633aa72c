"""Platt's sigmoid on log-odds: what turns a raw score into a probability.

Two parameters, so that it can be fitted on few frauds, and strictly increasing, so that the ranking stays
(J. Platt 1999, Probabilistic outputs for support vector machines, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]
SMALLEST = 1e-9


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """probability = 1 / (1 + exp(-(slope * raw + intercept))), kept inside [1e-9, 1 - 1e-9]; slope > 0."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, raw: Floats) -> Floats:
        """(n,) log-odds -> (n,) probabilities."""
        probabilities: Floats = np.clip(expit(self.slope * raw + self.intercept), SMALLEST, 1 - SMALLEST)
        return probabilities


def fit_sigmoid(raw: Floats, y: Floats, weight: Floats | None = None) -> Sigmoid:
    """Maximum likelihood with Platt's smoothed targets. `raw`: (n,) log-odds, `y`: (n,) 0 or 1, both present.
    `weight`: (n,) how many payments each row stands for; None: one each.

    When a higher raw score does not mean more fraud on this sample, the slope stays 1 and only the level is
    fitted: a calibration may not turn the ranking around.
    """
    share = np.full(len(y), 1 / len(y)) if weight is None else weight / weight.sum()
    n_fraud = float(y.sum())
    n_good = len(y) - n_fraud
    target = np.where(y > 0, (n_fraud + 1) / (n_fraud + 2), 1 / (n_good + 2))
    start = np.array([1.0, 0.0])
    slope, intercept = minimize(_loss, start, args=(raw, target, share), jac=True, method="BFGS").x
    if slope <= 0 or not np.isfinite(slope + intercept):
        slope = 1.0
        intercept = minimize(_level_loss, np.zeros(1), args=(raw, target, share), jac=True, method="BFGS").x[0]
    return Sigmoid(float(slope), float(intercept))


def _loss(parameters: Floats, raw: Floats, target: Floats, share: Floats) -> tuple[float, Floats]:
    """Mean cross-entropy and its gradient. `share`: (n,) weights that add up to 1."""
    z = parameters[0] * raw + parameters[1]
    difference = (expit(z) - target) * share
    return float(share @ (np.logaddexp(0, z) - target * z)), np.array([difference @ raw, difference.sum()])


def _level_loss(parameters: Floats, raw: Floats, target: Floats, share: Floats) -> tuple[float, Floats]:
    loss, gradient = _loss(np.array([1.0, parameters[0]]), raw, target, share)
    return loss, gradient[1:]
