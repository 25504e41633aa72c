"""Does the model put fraud on top? Threshold-free measures, overall and per day.

Precision at k and card precision at k follow the Fraud Detection Handbook (Le Borgne et al. 2022), chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.features.compiled import Floats, Integers


@dataclass(frozen=True, slots=True)
class RankingCurve:
    """Precision over recall, and recall over the false-positive rate (ROC), highest score first. Arrays (n,)."""

    recall: Floats
    precision: Floats
    false_positive_rate: Floats


class Ranked:
    """Labels sorted by score once, so that a measure under new weights (a bootstrap draw) takes one pass.

    Rows of equal score count as one step of the curve, as in scikit-learn.
    """

    def __init__(self, y: Floats, score: Floats) -> None:
        """`y`: (n,) 0 or 1; `score`: (n,), higher for fraud."""
        self._order = np.argsort(-score, kind="stable")
        self._y = y[self._order]
        ranked = score[self._order]
        self._steps = np.flatnonzero(np.append(np.diff(ranked) != 0, True))

    def _curve(self, weight: Floats | None) -> tuple[Floats, Floats]:
        """Frauds and good payments at or above each distinct score."""
        drawn = np.ones(len(self._y)) if weight is None else weight[self._order]
        frauds: Floats = np.cumsum(drawn * self._y)[self._steps]
        everyone: Floats = np.cumsum(drawn)[self._steps]
        return frauds, everyone - frauds

    def roc_auc(self, weight: Floats | None = None) -> float:
        """Area under the ROC curve; NaN when only one class is there."""
        frauds, good = self._curve(weight)
        if not frauds[-1] or not good[-1]:
            return float("nan")
        return float(np.trapezoid(np.append(0, frauds), np.append(0, good)) / (frauds[-1] * good[-1]))

    def average_precision(self, weight: Floats | None = None) -> float:
        """Area under the precision-recall curve, summed without interpolation; NaN without any fraud."""
        frauds, good = self._curve(weight)
        if not frauds[-1]:
            return float("nan")
        # Before the first drawn row there is nothing to divide by, and no fraud either.
        precision = frauds / np.maximum(frauds + good, 1e-300)
        return float(np.sum(np.diff(frauds, prepend=0) * precision) / frauds[-1])

    def curve(self, points: int = 100) -> RankingCurve | None:
        """Both curves at about `points` steps, evenly apart along the frauds found and along the good payments alerted;
        None when only one class is there.
        """
        frauds, good = self._curve(None)
        if not frauds[-1] or not good[-1]:
            return None
        apart = np.linspace(0, 1, max(2, points // 2))
        ends = [np.searchsorted(found, apart * found[-1]) for found in (frauds, good)]
        steps = np.unique(np.concatenate(ends))
        return RankingCurve(
            recall=frauds[steps] / frauds[-1],
            precision=frauds[steps] / (frauds[steps] + good[steps]),
            false_positive_rate=good[steps] / good[-1],
        )


def precision_at_k(y: Floats, score: Floats, days: Integers, k: int) -> float:
    """Mean over days of the share of fraud among the day's `k` highest scores.

    `days`: (n,) which day each row belongs to. Equal scores: the earlier row counts first. A day with fewer
    rows than `k` still divides by `k`: what an investigator with k slots would find.
    """
    return float(np.mean([_hits(y[rows], score[rows], k) for rows in _rows_by_day(days)]))


def _hits(y: Floats, score: Floats, k: int) -> float:
    top = np.argsort(-score, kind="stable")[:k]
    return float(y[top].sum()) / k


def _rows_by_day(days: Integers) -> list[Integers]:
    order = np.argsort(days, kind="stable")
    starts = np.flatnonzero(np.diff(days[order], prepend=days[order[0]] - 1))
    return [np.sort(rows) for rows in np.split(order, starts[1:])]


@dataclass(frozen=True, slots=True)
class CardPrecision:
    """`mean` over days of the share of compromised cards among `k` alerted cards; `ceiling`: what perfect
    gives.
    """

    mean: float
    ceiling: float
    days: int


def card_precision_at_k(
    y: Floats, score: Floats, days: Integers, cards: Integers, k: int, known: frozenset[int] = frozenset()
) -> CardPrecision:
    """Card precision at k per day, a card scored by its highest transaction.

    A card that was compromised and among the alerts of a day is known from then on and leaves the following
    days: it has been blocked. `known`: cards that are known before the first day. `cards`: (n,) card codes.
    """
    blocked = set(known)
    found, possible = [], []
    for rows in _rows_by_day(days):
        rows = rows[[card not in blocked for card in cards[rows].tolist()]]
        top, compromised = _alerted(y[rows], score[rows], cards[rows], k)
        detected = [card for card in top if card in compromised]
        blocked.update(detected)
        found.append(len(detected) / k)
        possible.append(min(len(compromised), k) / k)
    return CardPrecision(float(np.mean(found)), float(np.mean(possible)), len(found))


def _alerted(y: Floats, score: Floats, cards: Integers, k: int) -> tuple[list[int], set[int]]:
    """The day's `k` cards with the highest scores, and all cards with a fraud that day."""
    best: dict[int, float] = {}
    for card, value in zip(cards.tolist(), score.tolist(), strict=True):
        best[card] = max(value, best.get(card, -np.inf))
    top = sorted(best, key=lambda card: -best[card])[:k]
    return top, set(cards[y > 0].tolist())
