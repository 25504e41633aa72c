"""Trees, and where it ranks better, a share of the linear baseline on top of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sklearn.pipeline import Pipeline

from ml.evaluation.ranking import Ranked
from ml.features.compiled import Floats
from ml.linear_term import LinearTerm

SHARES: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
WORTH_IT: Final = 1.02
"""The blend must rank this much better than the trees alone to be worth its place on the hot path."""


@dataclass(frozen=True, slots=True)
class Blend:
    """What is served: `trees` plus `share` times `linear`, in log-odds; not calibrated."""

    trees: Pipeline
    linear: LinearTerm | None = None
    share: float = 0.0

    def decision_function(self, X: Floats) -> Floats:
        """(n, p) -> (n,) log-odds."""
        scores: Floats = self.trees.decision_function(X)
        return scores if self.linear is None else scores + self.share * self.linear.scores(X)


def choose_blend(trees: Pipeline, linear: LinearTerm, X: Floats, y: Floats, weight: Floats | None = None) -> Blend:
    """The share with the best average precision on the validation window; none when the trees do as well
    alone. `weight`: (n,) how many payments each row stands for; None: one each.
    """
    alone, added = trees.decision_function(X), linear.scores(X)
    ranked = {share: Ranked(y, alone + share * added).average_precision(weight) for share in SHARES}
    best = max(SHARES, key=lambda share: ranked[share])
    if ranked[best] < WORTH_IT * Ranked(y, alone).average_precision(weight):
        return Blend(trees)
    return Blend(trees, linear, best)
