"""The pair of probabilities that turns scores into actions. Plain Python: the web process imports it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Fraud probabilities (0..1) from which a payment is reviewed and declined; review <= decline."""

    review: float
    decline: float

    def __post_init__(self) -> None:
        if not 0 <= self.review <= self.decline <= 1:
            raise ValueError(f"thresholds need 0 <= review <= decline <= 1, got {self.review} and {self.decline}")
