"""What live quality measures, and which of it a model promises. One list for the ledger, the metrics and the pages."""

from __future__ import annotations

from typing import Final, Literal, get_args

Measure = Literal[
    "accuracy", "precision", "recall", "decline_precision", "decline_recall", "false_positive_rate", "alert_rate",
    "fraud_rate", "value_detected", "precision_at_k", "card_precision_at_k", "cost",
]  # fmt: skip
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
RATIOS: Final = tuple(measure for measure in MEASURES if measure != "cost")
"""The measures that are shares; a cost has the unit of the amounts."""

BETTER_WHEN_HIGHER: Final[tuple[Measure, ...]] = (
    "accuracy",
    "precision",
    "recall",
    "decline_precision",
    "precision_at_k",
    "card_precision_at_k",
)
BETTER_WHEN_LOWER: Final[tuple[Measure, ...]] = ("false_positive_rate",)
PROMISED: Final = (*BETTER_WHEN_HIGHER, *BETTER_WHEN_LOWER)
"""The measures of which training says what to expect."""
