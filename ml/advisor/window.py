"""A stretch of days as running sums over score bins, and the pair of thresholds that is worth most on it. Plain Python.

A threshold is a *place*: an index into the bins that have decisions. Bins below it are treated more mildly.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from ml.advisor.scores import DayScores, Sums, add_up, edge, nearest_edge
from ml.costs import CostMatrix
from ml.thresholds import Thresholds


class Cut(NamedTuple):
    """Places from which payments are reviewed and declined; review <= decline."""

    review: int
    decline: int


@dataclass(frozen=True, slots=True)
class Below:
    """Running sums: item i is the sum over the bins below place i. `count` counts decisions; `payments` weighted ones.

    `approve`, `review`, `decline`: worth in money of doing that to all of them.
    """

    count: list[float]
    payments: list[float]
    fraud: list[float]
    approve: list[float]
    review: list[float]
    decline: list[float]

    def worth(self, cut: Cut) -> float:
        """Money that these thresholds make; losses negative."""
        reviewed = self.review[cut.decline] - self.review[cut.review]
        return self.approve[cut.review] + reviewed + self.decline[-1] - self.decline[cut.decline]

    def reviewed(self, cut: Cut) -> float:
        """How many decisions are reviews."""
        return self.count[cut.decline] - self.count[cut.review]


def from_on(sums: Sequence[float], place: int) -> float:
    """What lies at or above a place."""
    return sums[-1] - sums[place]


@dataclass(frozen=True, slots=True)
class Window:
    """`bins`: those with decisions, ascending; `sums` over all days beside them. `days`: running sums by day; `total`:
    over all days.
    """

    bins: list[int]
    sums: list[Sums]
    days: list[Below]
    total: Below

    def threshold(self, place: int) -> float:
        """The probability of a place, in the middle of the gap between the bins on both sides; four digits."""
        above = self.bins[place] if place < len(self.bins) else self.bins[-1] + 1
        below = self.bins[place - 1] + 1 if place > 0 else above
        return float(f"{edge((above + below) // 2):.4g}")

    def thresholds(self, cut: Cut) -> Thresholds:
        """The probabilities of a cut."""
        return Thresholds(self.threshold(cut.review), self.threshold(cut.decline))

    def cut(self, thresholds: Thresholds) -> Cut:
        """The cut that is nearest to two probabilities."""
        return Cut(self.place(thresholds.review), self.place(thresholds.decline))

    def place(self, threshold: float) -> int:
        """The place that is nearest to a probability."""
        return bisect_left(self.bins, nearest_edge(threshold))


def make_window(scores: Sequence[DayScores], costs: CostMatrix) -> Window:
    """The running sums of at least one day; days in order, models of one day added up."""
    totals = add_up(scores)
    bins = list(totals)
    by_day: dict[str, list[DayScores]] = {}
    for one in scores:
        by_day.setdefault(one.day, []).append(one)
    days = [_of_day(bins, add_up(by_day[day]), costs) for day in sorted(by_day)]
    sums = list(totals.values())
    return Window(bins, sums, days, running(sums, costs))


def best_cut(below: Below, *, most_reviews: float | None = None) -> Cut:
    """The cut that is worth most where at most so many decisions are reviewed; of equals, the one with fewest alerts.

    With running sums a pair is worth `x[review] + y[decline]` and a constant.
    """
    x = [approve - review for approve, review in zip(below.approve, below.review, strict=True)]
    y = [review - decline for review, decline in zip(below.review, below.decline, strict=True)]
    best, best_worth = Cut(len(x) - 1, len(x) - 1), float("-inf")
    for decline in range(len(x) - 1, -1, -1):
        least = 0 if most_reviews is None else bisect_left(below.count, below.count[decline] - most_reviews)
        review = max(range(decline, min(least, decline) - 1, -1), key=x.__getitem__)
        if x[review] + y[decline] > best_worth + 1e-9:
            best, best_worth = Cut(review, decline), x[review] + y[decline]
    return best


def added(days: Sequence[Below]) -> Below:
    """The running sums over some days."""
    columns = zip(
        *((day.count, day.payments, day.fraud, day.approve, day.review, day.decline) for day in days), strict=True
    )
    return Below(*([sum(values) for values in zip(*column, strict=True)] for column in columns))


def _of_day(bins: Sequence[int], sums: Mapping[int, Sums], costs: CostMatrix) -> Below:
    nothing = Sums()
    return running([sums.get(place, nothing) for place in bins], costs)


def running(rows: Sequence[Sums], costs: CostMatrix) -> Below:
    """The running sums over bins in order."""
    worth = [costs.worth(one.good, one.good_amount, one.fraud, one.fraud_amount) for one in rows]
    return Below(
        count=_running([float(one.decisions) for one in rows]),
        payments=_running([one.good + one.fraud for one in rows]),
        fraud=_running([one.fraud for one in rows]),
        approve=_running([one[0] for one in worth]),
        review=_running([one[1] for one in worth]),
        decline=_running([one[2] for one in worth]),
    )


def _running(values: Sequence[float]) -> list[float]:
    return list(accumulate(values, initial=0.0))
