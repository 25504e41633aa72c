"""From a probability to what to do about it, and why. Pure functions that the scoring worker calls per batch.

A payment is declined from `thresholds.decline` on and reviewed from `thresholds.review` on. `is_fraud` is
the yes or no that goes with it: true exactly when the payment is declined, because a payment that still
needs a person to look at it has not been called fraud yet.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from config.contracts import Action, Reason, RiskLevel
from ml.thresholds import Thresholds as Thresholds

if TYPE_CHECKING:
    from ml.bundle import Bundle
    from ml.features.compiled import Floats

REVIEW_SCORE = 60
"""risk_score at the review threshold; `high` starts here."""
DECLINE_SCORE = 85
"""risk_score at the decline threshold; `critical` starts here."""
MEDIUM_SCORE = 30


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a probability means: `risk_score` 0..100 grows with it; from 60 payments are reviewed, from 85
    declined.
    """

    action: Action
    risk_score: int
    risk_level: RiskLevel
    is_fraud: bool


def decide(probability: float, thresholds: Thresholds) -> Verdict:
    """The verdict for one calibrated fraud probability.

    >>> decide(0.02, Thresholds(review=0.1, decline=0.5))
    Verdict(action='approve', risk_score=12, risk_level='low', is_fraud=False)
    >>> decide(0.5, Thresholds(review=0.1, decline=0.5))
    Verdict(action='decline', risk_score=85, risk_level='critical', is_fraud=True)
    """
    if probability >= thresholds.decline:
        score = _between(probability, thresholds.decline, 1.0, DECLINE_SCORE, 101)
        return Verdict("decline", min(score, 100), "critical", True)
    if probability >= thresholds.review:
        score = _between(probability, thresholds.review, thresholds.decline, REVIEW_SCORE, DECLINE_SCORE)
        return Verdict("review", score, "high", False)
    score = _between(probability, 0.0, thresholds.review, 0, REVIEW_SCORE)
    return Verdict("approve", score, "medium" if score >= MEDIUM_SCORE else "low", False)


def _between(probability: float, low: float, high: float, first: int, end: int) -> int:
    """Where `probability` in [low, high) lies on the integers first .. end - 1, rounded down."""
    if high <= low:
        return first
    return min(first + int((end - first) * (probability - low) / (high - low)), end - 1)


def explain(bundle: Bundle, row: Floats, contributions: Floats, limit: int) -> list[Reason]:
    """The `limit` features that moved this score most, strongest first; features that moved nothing are
    left out.

    `row`: (p,) float64, a row of X; `contributions`: (p,) float64 log-odds, that row of
    `bundle.contributions(X)`.
    """
    impacts = contributions.tolist()
    strongest = sorted(range(len(impacts)), key=lambda column: -abs(impacts[column]))[:limit]
    return [
        _reason(bundle, column, float(row[column]), impacts[column]) for column in strongest if impacts[column] != 0.0
    ]


def _reason(bundle: Bundle, column: int, value: float, impact: float) -> Reason:
    feature = bundle.columns[column]
    kind, text = _describe(feature.values, feature.typical, value, feature.unit)
    return Reason(
        code=f"{feature.name.upper()}_{kind}",
        feature=feature.name,
        direction="raises" if impact > 0 else "lowers",
        impact=round(impact, 4),
        message=f"{feature.label} {text}",
    )


def _describe(values: dict[int, str] | None, typical: float, value: float, unit: str | None) -> tuple[str, str]:
    """The kind that ends a reason's code, and the rest of its message."""
    if math.isnan(value):
        return "MISSING", "is missing" if values is None else "is missing or was never seen in training"
    if values is not None:
        return "VALUE", f"is {values.get(int(value), '?')}"
    shown = _number(value, unit)
    if math.isnan(typical) or value == typical:
        return "VALUE", f"is {shown}"
    side = "HIGH" if value > typical else "LOW"
    return side, f"is {shown}, {'above' if value > typical else 'below'} the usual {_number(typical, unit)}"


def _number(value: float, unit: str | None) -> str:
    digits = f"{value:,.0f}" if value.is_integer() else f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
    return f"{digits} {unit}" if unit else digits
