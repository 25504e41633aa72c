"""What a backtest found: swap sets, money, alerts a day, each side's measures. Plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from config.contracts import Action
from ml.advisor.draws import Draws
from ml.costs import CostMatrix
from ml.quality.cells import Ratios, add_ratios
from ml.quality.ratio import Figure, mean, share
from ml.thresholds import Thresholds

ACTIONS: Final[tuple[Action, ...]] = ("approve", "review", "decline")
"""From mild to strict; actions are numbered by this order."""
MEASURES: Final = (
    "precision", "recall", "decline_precision", "decline_recall", "false_positive_rate", "value_detected", "alert_rate",
)  # fmt: skip


class Swap(msgspec.Struct, frozen=True):
    """Sums over decisions that went from one action to another; `decisions` counts each once, the others by weight.

    `frauds`, `amount`, `fraud_amount`: what they were. `unknown`: declines whose truth nobody knows, which count in
    `frauds` by their scores. `saves`: money that the other action saves.
    """

    decisions: int = 0
    frauds: float = 0.0
    amount: float = 0.0
    fraud_amount: float = 0.0
    unknown: float = 0.0
    saves: float = 0.0

    def __add__(self, other: Swap) -> Swap:
        """The sums over both."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Swap(*(one + another for one, another in pairs))


Step = tuple[Action, Action]
"""(what was decided, what would have been)."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One day as it was, or as it would have been."""

    reviews: int
    declines: int
    cost: float
    measures: Ratios


class DayComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One day of both."""

    day: str
    is_matured: bool
    decisions: int
    before: Side
    after: Side
    swaps: dict[Step, Swap]


class SwapSet(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions that would have been others. `before`, `after`: actions; the rest as in `Swap`."""

    before: Action
    after: Action
    decisions: int
    frauds: float
    amount: float
    fraud_amount: float
    unknown: float
    saves: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One side over all days. `measures`: shares with 95% intervals over account-days, None with nothing to divide by.

    The figures a day have 95% intervals over days. `cost_per_payment`: gains negative.
    """

    alerts_per_day: Figure
    reviews_per_day: Figure
    declines_per_day: Figure
    cost_per_day: Figure
    cost_per_payment: Figure | None
    measures: dict[str, Figure | None]


class DayLine(msgspec.Struct, frozen=True, kw_only=True):
    """One day in a few numbers. `saves`: money."""

    day: str
    is_matured: bool
    decisions: int
    alerts_before: int
    alerts_after: int
    saves: float


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions of the days in [since, until), by event time in UTC, as they were and as the trial has them.

    `is_provisional`: labels of some of the days are still arriving. `left_out`: decisions not in it, by reason.
    `saves_per_day`: what the trial would have saved, negative where it costs, with its 95% interval over days.
    """

    trial: str
    thresholds: Thresholds
    model_version: str | None
    since: str
    until: str
    is_provisional: bool
    decisions: int
    left_out: dict[str, int]
    costs: CostMatrix
    before: Summary
    after: Summary
    saves_per_day: Figure
    saves: float
    swaps: list[SwapSet]
    days: list[DayLine]
    notes: list[str]


def summarise(days: Sequence[DayComparison]) -> tuple[Summary, Summary, Figure]:
    """Both sides, and what the second saves a day, of at least one day; all on the same draws."""
    draws = Draws(len(days))
    saved = draws.mean([day.before.cost - day.after.cost for day in days])
    before, after = ([getattr(day, name) for day in days] for name in ("before", "after"))
    return _summary(before, draws), _summary(after, draws), saved


def swap_sets(days: Sequence[DayComparison]) -> list[SwapSet]:
    """The sums of every step that changes something, the largest effect on money first."""
    total: dict[Step, Swap] = {}
    for day in days:
        for step, swap in day.swaps.items():
            total[step] = total.get(step, Swap()) + swap
    found = [
        SwapSet(before=step[0], after=step[1], **msgspec.structs.asdict(swap))
        for step, swap in total.items()
        if step[0] != step[1]
    ]
    return sorted(found, key=lambda one: -abs(one.saves))


def lines(days: Sequence[DayComparison]) -> list[DayLine]:
    """Each day in a few numbers."""
    return [
        DayLine(
            day=day.day,
            is_matured=day.is_matured,
            decisions=day.decisions,
            alerts_before=day.before.reviews + day.before.declines,
            alerts_after=day.after.reviews + day.after.declines,
            saves=day.before.cost - day.after.cost,
        )
        for day in days
    ]


def _summary(sides: Sequence[Side], draws: Draws) -> Summary:
    ratios = add_ratios(side.measures for side in sides)
    return Summary(
        alerts_per_day=draws.mean([float(side.reviews + side.declines) for side in sides]),
        reviews_per_day=draws.mean([float(side.reviews) for side in sides]),
        declines_per_day=draws.mean([float(side.declines) for side in sides]),
        cost_per_day=draws.mean([side.cost for side in sides]),
        cost_per_payment=mean(ratios["cost"]),
        measures=_shares(ratios),
    )


def _shares(ratios: Ratios) -> dict[str, Figure | None]:
    return {name: share(ratios[name]) for name in MEASURES}
