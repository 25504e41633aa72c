"""Card precision at k under weights, so that a bootstrap over cards can put an interval around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.features.compiled import Floats, Integers


@dataclass(frozen=True, slots=True)
class _Day:
    """One day's cards, highest score first, and whether each had a fraud that day."""

    cards: Integers
    compromised: Floats


class RankedCards:
    """The cards of each day ranked once, by their highest score; every draw of a bootstrap takes one pass.

    A card that was found leaves the following days: it has been blocked. Rows with card -1 stand alone.
    """

    def __init__(
        self, y: Floats, score: Floats, days: Integers, cards: Integers, *, k: int, known: frozenset[int] = frozenset()
    ) -> None:
        """All arrays (n,); `known`: cards that were blocked before the first day."""
        self._k = k
        codes = _codes(cards)
        self._first_row = np.unique(codes, return_index=True)[1]
        self._known: NDArray[np.bool_] = np.isin(cards[self._first_row], list(known)) if known else _none(codes)
        self._days = [_rank(y[rows], score[rows], codes[rows]) for rows in _rows_by_day(days)]

    def precision(self, weight: Floats | None = None) -> float:
        """Mean over days of the share of compromised cards among `k` alerts, where a card drawn twice is two cards.

        `weight`: (n,) how often each row was drawn, equal for all rows of a card; None: once.
        """
        drawn = np.ones(len(self._first_row)) if weight is None else weight[self._first_row]
        blocked = self._known.copy()
        found = []
        for day in self._days:
            here = np.where(blocked[day.cards], 0.0, drawn[day.cards])
            hits = np.clip(self._k - (np.cumsum(here) - here), 0.0, here) * day.compromised
            blocked[day.cards[hits > 0]] = True
            found.append(hits.sum() / self._k)
        return float(np.mean(found))


def _codes(cards: Integers) -> Integers:
    """0..m-1; every -1 becomes a card of its own."""
    alone = cards < 0
    codes = cards.astype(np.int64, copy=True)
    codes[alone] = cards.max(initial=0) + 1 + np.arange(alone.sum())
    return np.asarray(np.unique(codes, return_inverse=True)[1], dtype=np.int64)


def _none(codes: Integers) -> NDArray[np.bool_]:
    return np.zeros(int(codes.max()) + 1, dtype=bool)


def _rows_by_day(days: Integers) -> list[Integers]:
    order = np.argsort(days, kind="stable")
    starts = np.flatnonzero(np.diff(days[order]) != 0) + 1
    return [np.asarray(rows) for rows in np.split(order, starts)]


def _rank(y: Floats, score: Floats, codes: Integers) -> _Day:
    """Equal scores: the card that came first in the day ranks first."""
    cards, first, places = np.unique(codes, return_index=True, return_inverse=True)
    best = np.full(len(cards), -np.inf)
    np.maximum.at(best, places, score)
    frauds = np.bincount(places, weights=y, minlength=len(cards))
    order = np.lexsort((first, -best))
    return _Day(cards[order], (frauds[order] > 0).astype(np.float64))
