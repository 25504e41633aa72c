"""Which days and whose scores advice rests on, and what to say where there are too few. Plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from ml.advisor.advice import Advice, advise
from ml.advisor.scores import DayScores
from ml.costs import CostMatrix, Reviewers
from ml.quality.cells import LabelDelay, QualityState, is_matured
from ml.thresholds import Thresholds

LEAST_FRAUDS: Final = 50
"""Matured frauds below which nothing is advised: the optimum of fewer is mostly chance."""
FEW_DAYS: Final = 14
"""Days below which intervals over days are said to be rough."""
DEFAULT_DAYS: Final = 90
MOST_DAYS: Final = 366
NO_ROLL_UP: Final = "no decisions have been rolled up yet"


class ThresholdReport(msgspec.Struct, frozen=True, kw_only=True):
    """Advice on thresholds from matured decisions of the days in [since, until), by event time in UTC.

    `model_version`: whose decisions, None for those of all models. `frauds`: reckoned with, unknown declines by their
    scores. `advice`: None where there is too little to say any; `notes` say why, and what else to know.
    docs/thresholds.md has the definitions.
    """

    since: str | None
    until: str | None
    days: int
    model_version: str | None
    decisions: int
    frauds: float
    label_delay: LabelDelay | None
    costs: CostMatrix
    reviewers: Reviewers
    advice: Advice | None
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Question:
    """What advice is asked for. `model_version`: of whose decisions alone; None: the champion's, or those of all models
    while it has too few. `days`: at most so many. `current`: the thresholds in force.
    """

    costs: CostMatrix = field(default_factory=CostMatrix)
    reviewers: Reviewers = field(default_factory=Reviewers)
    days: int = DEFAULT_DAYS
    model_version: str | None = None
    champion: str | None = None
    current: Thresholds | None = None


def matured_range(days: int, delay: LabelDelay, newest: str | None, now: datetime) -> tuple[str, str] | None:
    """The last days whose labels are in: [first, day after the last). `newest`: the last day with decisions."""
    if newest is None:
        return None
    last = min(date.fromisoformat(newest), now.date())
    while not is_matured(last.isoformat(), delay.delay_s, now):
        last -= timedelta(days=1)
    return (last - timedelta(days=days - 1)).isoformat(), (last + timedelta(days=1)).isoformat()


def days_of(within: tuple[str, str]) -> list[str]:
    """The days in [first, day after the last)."""
    first, end = (date.fromisoformat(day) for day in within)
    return [(first + timedelta(days=number)).isoformat() for number in range((end - first).days)]


def make_report(
    question: Question, scores: Sequence[DayScores], within: tuple[str, str] | None, state: QualityState | None
) -> ThresholdReport:
    """The report on scores of matured days."""
    chosen, whose, notes = _choose(question, scores)
    frauds = _frauds(chosen)
    days = len({one.day for one in chosen})
    if state is None:
        notes = [NO_ROLL_UP]
    elif frauds < LEAST_FRAUDS:
        notes.append(
            f"no advice: {frauds:.0f} matured frauds; fewer than {LEAST_FRAUDS} say more of chance than of cost"
        )
    elif days < FEW_DAYS:
        notes.append(f"only {days} days: the intervals are rough")
    is_enough = state is not None and frauds >= LEAST_FRAUDS
    return ThresholdReport(
        since=within[0] if within else None,
        until=within[1] if within else None,
        days=days,
        model_version=whose,
        decisions=sum(one.decisions for day in chosen for one in day.sums),
        frauds=frauds,
        label_delay=state.delay if state else None,
        costs=question.costs,
        reviewers=question.reviewers,
        advice=advise(chosen, question.costs, question.reviewers, current=question.current) if is_enough else None,
        notes=notes,
    )


def _choose(question: Question, scores: Sequence[DayScores]) -> tuple[list[DayScores], str | None, list[str]]:
    """The scores to go by, whose they are, and what to say about that."""
    wanted = question.model_version or question.champion
    own = [one for one in scores if one.model_version == wanted]
    if wanted is not None and (question.model_version is not None or _frauds(own) >= LEAST_FRAUDS):
        return own, wanted, []
    notes = []
    if wanted is not None:
        notes.append(f"{wanted} has {_frauds(own):.0f} matured frauds, so the scores of all models are taken together")
    return list(scores), None, notes


def _frauds(scores: Sequence[DayScores]) -> float:
    return sum(one.fraud for day in scores for one in day.sums)
