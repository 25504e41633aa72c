"""What the roll-up keeps for advice on thresholds: sums by bins of the score, per day and model. Plain Python.

Bins are 0.05 wide in log-odds, so neighbouring thresholds differ by 5% wherever they lie: fraud is rare, and a
threshold of 0.004 matters as much as one of 0.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec

STEP: Final = 0.05
"""Width of a bin in log-odds."""
LAST: Final = 240
"""Bins are numbered -240 to 239: probabilities from 6e-6 on; what lies beyond goes into the outermost."""


class Sums(msgspec.Struct, frozen=True, array_like=True):
    """Sums over decisions. `decisions` counts each once; all others are weighted by exploration.

    A decline without a label that nothing stands for is `unknown`: it counts in `fraud` by its score and in `good` by
    the rest. `unknown`: how many of those; `unknown_amount`; `unknown_fraud`, `unknown_fraud_amount`: what they add to
    `fraud` and `fraud_amount`.
    """

    decisions: int = 0
    good: float = 0.0
    good_amount: float = 0.0
    fraud: float = 0.0
    fraud_amount: float = 0.0
    unknown: float = 0.0
    unknown_amount: float = 0.0
    unknown_fraud: float = 0.0
    unknown_fraud_amount: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        """The sums over both."""
        return Sums(
            *(a + b for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True))
        )

    def assuming(self, share: float) -> Sums:
        """The same if this share (0 to 1) of the unknown were fraud, whatever their scores say."""
        fraud, fraud_amount = share * self.unknown, share * self.unknown_amount
        more, more_amount = fraud - self.unknown_fraud, fraud_amount - self.unknown_fraud_amount
        return msgspec.structs.replace(
            self,
            good=self.good - more,
            good_amount=self.good_amount - more_amount,
            fraud=self.fraud + more,
            fraud_amount=self.fraud_amount + more_amount,
            unknown_fraud=fraud,
            unknown_fraud_amount=fraud_amount,
        )


class DayScores(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions of one model on one day (UTC, by event time), without those by a list.

    `bins`: the bins that have any, ascending; `sums` beside them.
    """

    day: str
    model_version: str
    bins: list[int]
    sums: list[Sums]


def nearest_edge(probability: float) -> int:
    """The bin that begins nearest to a threshold (0 to 1); one past the last for a threshold that nothing reaches.

    >>> nearest_edge(0.5), nearest_edge(0.51), nearest_edge(1.0)
    (0, 1, 240)
    """
    return int(min(max(round(_place(probability)), -LAST), LAST))


def _place(probability: float) -> float:
    """Where a probability lies, in bins from one half on."""
    if probability <= 0:
        return -LAST
    return LAST if probability >= 1 else math.log(probability / (1 - probability)) / STEP


def edge(place: int) -> float:
    """The probability that a bin begins with: as a threshold it takes the bin and all above. 0 and 1 at the ends.

    >>> edge(0), round(edge(-60), 4)
    (0.5, 0.0474)
    """
    if place <= -LAST:
        return 0.0
    return 1.0 if place >= LAST else 1 / (1 + math.exp(-STEP * place))


def add_up(days: Iterable[DayScores]) -> dict[int, Sums]:
    """Bin -> sums over all days, ascending."""
    totals: dict[int, Sums] = {}
    for day in days:
        for place, sums in zip(day.bins, day.sums, strict=True):
            totals[place] = totals[place] + sums if place in totals else sums
    return dict(sorted(totals.items()))
