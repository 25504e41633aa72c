"""How sure a figure over days is: a percentile bootstrap over whole days. Plain Python.

Payments of one day share what was going on that day, fraud runs included, so days are drawn and not payments
(Field and Welsh 2007, cluster bootstrap).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from ml.quality.ratio import Figure

ROUNDS: Final = 500
SEED: Final = 7
LOW, HIGH = 0.025, 0.975


class Draws:
    """`ROUNDS` resamples of some days, the same for every figure, so that differences are drawn in pairs."""

    def __init__(self, days: int) -> None:
        rng = random.Random(SEED)
        self._draws = [rng.choices(range(days), k=days) for _ in range(ROUNDS)]

    def mean(self, values: Sequence[float]) -> Figure:
        """The mean over days with its 95% interval."""
        drawn = sorted(sum(map(values.__getitem__, draw)) / len(values) for draw in self._draws)
        return Figure(sum(values) / len(values), *_bounds(drawn))

    def ratio(self, parts: Sequence[float], wholes: Sequence[float]) -> Figure | None:
        """A sum over a sum with its 95% interval; None when there is nothing to divide by."""
        if sum(wholes) <= 0:
            return None
        sums = [(sum(map(parts.__getitem__, draw)), sum(map(wholes.__getitem__, draw))) for draw in self._draws]
        drawn = sorted(part / whole for part, whole in sums if whole > 0)
        return Figure(sum(parts) / sum(wholes), *_bounds(drawn))


def _bounds(drawn: Sequence[float]) -> tuple[float, float]:
    last = len(drawn) - 1
    return drawn[round(LOW * last)], drawn[round(HIGH * last)]
