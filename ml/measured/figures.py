"""The three figures of a ranking that the published tables have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml.evaluation.ranking import Ranked, card_precision_at_k
from ml.features.compiled import Floats, Integers

TOP_K: Final = 100
"""Alerts a day that somebody looks at."""


@dataclass(frozen=True, slots=True)
class Figures:
    """`card_precision`: at `TOP_K` alerts a day."""

    roc_auc: float
    average_precision: float
    card_precision: float


def figures(y: Floats, score: Floats, *, days: Integers, cards: Integers) -> Figures:
    """All arrays (n,): labels 0 or 1, scores, day numbers, card codes."""
    ranked = Ranked(y, score)
    found = card_precision_at_k(y, score, days, cards, TOP_K)
    return Figures(ranked.roc_auc(), ranked.average_precision(), found.mean)


def mean_of(several: Sequence[Figures]) -> Figures:
    """Each figure's mean."""
    rows = np.array([(one.roc_auc, one.average_precision, one.card_precision) for one in several])
    return Figures(*(float(value) for value in rows.mean(axis=0)))
