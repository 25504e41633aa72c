"""What decisions are worth in money, and the thresholds that make them worth most.

The convention is that of scikit-learn's cost-sensitive example: a margin on every good payment that is
accepted, the whole amount lost on every fraud that is accepted, a handling cost for every good payment that
is refused; and, for the middle way, what it costs to have a person look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml.costs import CostMatrix
from ml.decisions import Thresholds

if TYPE_CHECKING:
    # Not at run time: the background worker uses the costs and must not pay for the compiler.
    from ml.features.compiled import Floats


@dataclass(frozen=True, slots=True)
class CostModel(CostMatrix):
    """A cost matrix for arrays of payments."""

    @classmethod
    def of(cls, costs: CostMatrix) -> CostModel:
        """The same costs, for arrays."""
        return cls(**{name: getattr(costs, name) for name in CostMatrix.__slots__})

    def amounts(self, amount: Floats | None, n: int) -> Floats:
        """(n,) amounts without gaps; negative ones count as 0."""
        if amount is None:
            return np.full(n, self.typical_amount)
        filled: Floats = np.where(np.isfinite(amount), np.maximum(amount, 0.0), self.typical_amount)
        return filled

    def values(self, fraud: Floats, amount: Floats) -> tuple[Floats, Floats, Floats]:
        """What approving, reviewing and declining each payment is worth, (n,) each.

        `fraud`: 0 or 1, or a probability for the expected worth.
        """
        return self.worth(1 - fraud, (1 - fraud) * amount, fraud, fraud * amount)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What thresholds did to a set of payments: worth in money and how many of each kind.

    `value`: total worth. `approve_all`, `perfect`: the same for accepting everything, and for knowing every
    label. `missed_amount`: fraud approved, in money. `refused_good`: good payments declined.
    """

    value: float
    approve_all: float
    perfect: float
    n: int
    declined: int
    reviewed: int
    missed_fraud: int
    missed_amount: float
    refused_good: int

    @property
    def share_of_perfect(self) -> float:
        """0: no better than accepting everything; 1: as good as knowing every label."""
        possible = self.perfect - self.approve_all
        return (self.value - self.approve_all) / possible if possible > 0 else 0.0


def outcome(y: Floats, probability: Floats, amount: Floats, thresholds: Thresholds, costs: CostModel) -> Outcome:
    """Apply `thresholds` to labelled payments. All arrays (n,)."""
    approve, review, decline = costs.values(y, amount)
    declined = probability >= thresholds.decline
    reviewed = ~declined & (probability >= thresholds.review)
    missed = (y > 0) & ~declined & ~reviewed
    return Outcome(
        value=float(np.where(declined, decline, np.where(reviewed, review, approve)).sum()),
        approve_all=float(approve.sum()),
        perfect=float(np.where(y > 0, decline, approve).sum()),
        n=len(y),
        declined=int(declined.sum()),
        reviewed=int(reviewed.sum()),
        missed_fraud=int(missed.sum()),
        missed_amount=float(amount[missed].sum()),
        refused_good=int((declined & (y == 0)).sum()),
    )


def gains(y: Floats, probability: Floats, amount: Floats, thresholds: Thresholds, costs: CostModel) -> Floats:
    """(n,) what `thresholds` are worth more than accepting the payment, each; negative: they cost money."""
    approve, review, decline = costs.values(y, amount)
    declined, reviewed = probability >= thresholds.decline, probability >= thresholds.review
    gained: Floats = np.where(declined, decline, np.where(reviewed, review, approve)) - approve
    return gained


def best_thresholds(
    fraud: Floats, probability: Floats, amount: Floats, costs: CostModel, weight: Floats | None = None
) -> Thresholds:
    """The pair review <= decline that is worth most on these payments. All arrays (n,).

    `fraud`: labels, or calibrated probabilities when there are too few labelled frauds to trust (the
    minimum-risk rule in expectation). Thresholds lie half way between two scores that occur. Reviewing is
    left out (review equals decline) when it is never worth its cost. `weight`: how many payments each row
    stands for; None: one each.
    """
    order = np.argsort(probability, kind="stable")
    values = costs.values(fraud, amount)
    approve, review, decline = (part[order] if weight is None else (weight * part)[order] for part in values)
    ranked = probability[order]
    # gains[i]: worth of moving the i lowest scores to the milder action.
    milder_than_review = np.concatenate([[0.0], np.cumsum(approve - review)])
    milder_than_decline = np.concatenate([[0.0], np.cumsum(review - decline)])
    allowed = np.concatenate([[True], np.diff(ranked) > 0, [True]])
    milder_than_review[~allowed] = -np.inf
    milder_than_decline[~allowed] = -np.inf
    # For every decline cut, the best review cut at or below it.
    best_so_far = np.maximum.accumulate(milder_than_review)
    decline_cut = int(np.argmax(best_so_far + milder_than_decline))
    review_cut = int(np.argmax(milder_than_review[: decline_cut + 1]))
    return Thresholds(review=_cut(ranked, review_cut), decline=_cut(ranked, decline_cut))


def _cut(ranked: Floats, position: int) -> float:
    """The threshold that leaves the `position` lowest scores below it."""
    if position == 0:
        return float(ranked[0]) / 2
    if position == len(ranked):
        return (float(ranked[-1]) + 1) / 2
    return (float(ranked[position - 1]) + float(ranked[position])) / 2
