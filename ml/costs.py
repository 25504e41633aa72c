"""What mistakes and reviews cost. Plain Python: the web process imports it; the arithmetic also takes numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from config.errors import FieldError

Bounds = tuple[float, float]
COST_BOUNDS: Final[Mapping[str, Bounds]] = {
    "margin": (0.0, 1.0),
    "refusal": (0.0, 1e6),
    "review": (0.0, 1e6),
    "review_misses": (0.0, 1.0),
    "chargeback_fee": (0.0, 1e6),
    "typical_amount": (0.0, 1e9),
}
"""The entries of a cost matrix, and between which numbers each must lie."""
REVIEWER_BOUNDS: Final[Mapping[str, Bounds]] = {"per_day": (0.0, 1e7), "minutes": (0.0, 600.0)}


@dataclass(frozen=True, slots=True)
class CostMatrix:
    """Money in the unit of the amount.

    `margin`: share of a good payment's amount that is earned when it is accepted. `refusal`: handling cost
    and lost goodwill of refusing a good payment. `review`: cost of one manual review. `review_misses`:
    share of reviewed fraud that is let through. `chargeback_fee`: what a fraud that went through costs beside its
    amount. `typical_amount`: the amount of payments whose schema has none, or that lack it.
    """

    margin: float = 0.02
    refusal: float = 20.0
    review: float = 2.5
    review_misses: float = 0.1
    typical_amount: float = 100.0
    chargeback_fee: float = 0.0

    def worth(self, good: Any, good_amount: Any, fraud: Any, fraud_amount: Any) -> tuple[Any, Any, Any]:
        """What approving, reviewing and declining payments is worth: so many good ones, so many frauds, with their
        amounts. Linear, so sums of payments can be given as well as one, and arrays as well as numbers.
        """
        earned = self.margin * good_amount
        lost = fraud_amount + self.chargeback_fee * fraud
        approve = earned - lost
        review = earned - self.review_misses * lost - self.review * (good + fraud)
        return approve, review, -self.refusal * good


@dataclass(frozen=True, slots=True)
class Reviewers:
    """Who looks at reviewed payments. `per_day`: how many they manage, None: any number. `minutes`: for one."""

    per_day: float | None = None
    minutes: float = 5.0


def out_of_bounds(table: str, given: Mapping[str, float], bounds: Mapping[str, Bounds]) -> Iterator[FieldError]:
    """One mistake per number that lies outside its bounds."""
    for name, value in given.items():
        low, high = bounds[name]
        if not low <= value <= high:
            yield FieldError(f"/{table}/{name}", "invalid_policy", f"is {value!r}, must be {low:g} to {high:g}")
