"""The two pictures of a report: are the probabilities right, and what precision costs in recall."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ml.evaluation.calibration_curve import CalibrationCurve
from ml.features.compiled import Floats

_POINTS = 2000


def plot_calibration(curve: CalibrationCurve) -> bytes:
    """Predicted against observed share of fraud per bin, on logarithmic axes. A PNG."""
    figure, axes = _figure("Calibration", "mean predicted probability", "observed share of fraud")
    shown = (curve.predicted > 0) & (curve.observed > 0)
    lowest = float(min(curve.predicted[shown].min(), curve.observed[shown].min())) if shown.any() else 1e-4
    axes.plot([lowest, 1], [lowest, 1], color="0.6", linestyle="--", label="perfect")
    axes.plot(curve.predicted[shown], curve.observed[shown], marker="o", label="model")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend()
    return _png(figure)


def plot_precision_recall(y: Floats, scores: dict[str, Floats]) -> bytes:
    """One curve per named score. `y`: (n,) 0 or 1, scores (n,). A PNG."""
    figure, axes = _figure("Precision and recall", "recall", "precision")
    for name, score in scores.items():
        found = np.cumsum(y[np.argsort(-score, kind="stable")])
        every = max(1, len(found) // _POINTS)
        recall, precision = found / max(found[-1], 1), found / np.arange(1, len(found) + 1)
        axes.plot(recall[::every], precision[::every], label=name)
    axes.axhline(float(y.mean()), color="0.6", linestyle="--", label="guessing")
    axes.set_ylim(0, 1.02)
    axes.legend()
    return _png(figure)


def _figure(title: str, x: str, y: str) -> tuple[Figure, Any]:
    # Figure without pyplot: no global state, no display, safe on any thread.
    figure = Figure(figsize=(6, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
