"""From sums by score to advice: the pair of thresholds that costs least, how sure that is, and what lies around it.

Plain Python: the web process calls it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from ml.advisor.draws import Draws
from ml.advisor.scores import DayScores
from ml.advisor.window import Below, Cut, Window, added, best_cut, from_on, make_window, running
from ml.costs import CostMatrix, Reviewers
from ml.quality.ratio import Z_95, Figure
from ml.thresholds import Thresholds

CURVE_POINTS: Final = 60
Axis = Literal["review", "decline"]


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """What a pair of thresholds does to the payments of an average day, each figure with a 95% interval.

    `cost_per_payment`, `cost_per_day`: in money, gains negative. `alerts_per_day`: reviews and declines together.
    `review_hours_per_day`: what the reviews take. `precision`, `recall`: of the alerts; None without any, or any fraud.
    """

    review: float
    decline: float
    cost_per_payment: Figure | None
    cost_per_day: Figure
    alerts_per_day: Figure
    reviews_per_day: Figure
    declines_per_day: Figure
    review_hours_per_day: float
    precision: Figure | None
    recall: Figure | None


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold of a curve, the other one as advised. `alerts_per_day`, `precision` and `recall` are of what lies
    at or above it.

    `costs_more_per_day`: than the advice. `has_reviewers`: reviewers manage it. `is_as_good`: they do, and the
    difference may be chance (95%, by day).
    """

    threshold: float
    cost_per_day: float
    costs_more_per_day: float
    has_reviewers: bool
    is_as_good: bool
    alerts_per_day: float
    precision: float | None
    recall: float | None


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """Declined payments that nobody labelled, and the advice if all of them were genuine, or fraud.

    `share_of_fraud`: how much of all fraud reckoned with is only what their scores say.
    """

    decisions: float
    share_of_fraud: float
    if_genuine: Thresholds
    if_fraud: Thresholds


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """The pair that costs least within what reviewers manage.

    `current`: the pair in force. `saves_per_day`: what the advice costs less than that; `checked_saves_per_day`: the
    same where each half of the days gets the pair that is best on the other half: what can be expected of days that
    were not looked at. `unlimited`: the pair without a limit of reviews, None where the limit does not bind.
    `approve_all_per_day`: what accepting every payment costs.
    """

    best: Option
    current: Option | None
    saves_per_day: Figure | None
    checked_saves_per_day: float | None
    unlimited: Option | None
    approve_all_per_day: float
    unknown: Unknown
    review_curve: list[Point]
    decline_curve: list[Point]


@dataclass(frozen=True, slots=True)
class _Desk:
    """One window with everything that its figures need."""

    window: Window
    reviewers: Reviewers
    draws: Draws

    def best(self, below: Below, days: int) -> Cut:
        per_day = self.reviewers.per_day
        return best_cut(below, most_reviews=None if per_day is None else per_day * days)

    def by_day(self, measure: Callable[[Below], float]) -> list[float]:
        return [measure(day) for day in self.window.days]


def advise(
    scores: Sequence[DayScores], costs: CostMatrix, reviewers: Reviewers, *, current: Thresholds | None = None
) -> Advice:
    """The advice from at least one day of matured decisions that the models have not learned from."""
    window = make_window(scores, costs)
    desk = _Desk(window, reviewers, Draws(len(window.days)))
    best, free = desk.best(window.total, len(window.days)), best_cut(window.total)
    now = None if current is None else window.cut(current)
    return Advice(
        best=_option(desk, best, window.thresholds(best)),
        current=None if now is None or current is None else _option(desk, now, current),
        saves_per_day=None if now is None else desk.draws.mean(_saved(window.days, best, now)),
        checked_saves_per_day=None if now is None else _checked(desk, now),
        unlimited=None if free == best else _option(desk, free, window.thresholds(free)),
        approve_all_per_day=-window.total.approve[-1] / len(window.days),
        unknown=_unknown(desk, costs),
        review_curve=list(_curve(desk, best, "review")),
        decline_curve=list(_curve(desk, best, "decline")),
    )


def _option(desk: _Desk, cut: Cut, thresholds: Thresholds) -> Option:
    alerts = desk.by_day(lambda day: from_on(day.count, cut.review))
    payments = desk.by_day(lambda day: from_on(day.payments, cut.review))
    caught = desk.by_day(lambda day: from_on(day.fraud, cut.review))
    costs = desk.by_day(lambda day: -day.worth(cut))
    reviews = desk.draws.mean(desk.by_day(lambda day: day.reviewed(cut)))
    return Option(
        review=thresholds.review,
        decline=thresholds.decline,
        cost_per_payment=desk.draws.ratio(costs, desk.by_day(lambda day: day.payments[-1])),
        cost_per_day=desk.draws.mean(costs),
        alerts_per_day=desk.draws.mean(alerts),
        reviews_per_day=reviews,
        declines_per_day=desk.draws.mean(desk.by_day(lambda day: from_on(day.count, cut.decline))),
        review_hours_per_day=reviews.value * desk.reviewers.minutes / 60,
        precision=desk.draws.ratio(caught, payments),
        recall=desk.draws.ratio(caught, desk.by_day(lambda day: day.fraud[-1])),
    )


def _saved(days: Sequence[Below], new: Cut, old: Cut) -> list[float]:
    return [day.worth(new) - day.worth(old) for day in days]


def _checked(desk: _Desk, now: Cut) -> float | None:
    """Every other day decides for the rest: neighbours differ less than the start and the end of the window."""
    halves = desk.window.days[::2], desk.window.days[1::2]
    if not halves[1]:
        return None
    cuts = [desk.best(added(half), len(half)) for half in halves]
    saved = [*_saved(halves[0], cuts[1], now), *_saved(halves[1], cuts[0], now)]
    return sum(saved) / len(saved)


def _unknown(desk: _Desk, costs: CostMatrix) -> Unknown:
    sums = desk.window.sums
    fraud = sum(one.fraud for one in sums)
    return Unknown(
        decisions=sum(one.unknown for one in sums),
        share_of_fraud=sum(one.unknown_fraud for one in sums) / fraud if fraud else 0.0,
        if_genuine=_best_if(desk, costs, share=0.0),
        if_fraud=_best_if(desk, costs, share=1.0),
    )


def _best_if(desk: _Desk, costs: CostMatrix, *, share: float) -> Thresholds:
    supposed = running([one.assuming(share) for one in desk.window.sums], costs)
    return desk.window.thresholds(desk.best(supposed, len(desk.window.days)))


def _curve(desk: _Desk, best: Cut, axis: Axis) -> Iterator[Point]:
    """Places at or above which at most half of the payments lie, thinned out; the advised one is always there."""
    total = desk.window.total
    last = len(desk.window.bins)
    lowest, highest = (0, best.decline) if axis == "review" else (best.review, last)
    busy = [place for place in range(lowest, highest + 1) if from_on(total.count, place) <= 0.5 * total.count[-1]]
    step = math.ceil(len(busy) / CURVE_POINTS) or 1
    own = best.review if axis == "review" else best.decline
    for place in sorted({*busy[::step], own}):
        yield _point(desk, best, best._replace(**{axis: place}), place)


def _point(desk: _Desk, best: Cut, cut: Cut, place: int) -> Point:
    total, days = desk.window.total, len(desk.window.days)
    more = _saved(desk.window.days, best, cut)
    mean = sum(more) / days
    error = math.sqrt(sum((one - mean) ** 2 for one in more) / max(days - 1, 1) / days)
    caught, payments = from_on(total.fraud, place), from_on(total.payments, place)
    per_day = desk.reviewers.per_day
    has_reviewers = per_day is None or total.reviewed(cut) <= per_day * days
    return Point(
        threshold=desk.window.threshold(place),
        cost_per_day=-total.worth(cut) / days,
        costs_more_per_day=mean,
        has_reviewers=has_reviewers,
        is_as_good=has_reviewers and (mean <= Z_95 * error or cut == best),
        alerts_per_day=from_on(total.count, place) / days,
        precision=caught / payments if payments > 0 else None,
        recall=caught / total.fraud[-1] if total.fraud[-1] > 0 else None,
    )
