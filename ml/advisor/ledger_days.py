"""Advice straight from the ledger's decisions, day by day: slower than the roll-up, but with every payment's amount."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
import numpy as np

from ml.advisor.counting import EachByItself, count_scores, decide_each
from ml.advisor.draws import Draws
from ml.advisor.report import Question, ThresholdReport, days_of, make_report, matured_range
from ml.advisor.scores import DayScores
from ml.advisor.window import make_window
from ml.evaluation.cost import CostModel
from ml.quality.cases import make_cases
from ml.quality.cells import JudgedDecision, LabelDelay, QualityState
from ml.quality.delay import learn_arrivals
from ml.quality.ratio import Figure
from ml.thresholds import Thresholds

Advance = Callable[[int, int], None]
"""Told after each day how many days are done, and of how many."""


class Book(Protocol):
    """The part of `ml.ledger.quality_book.QualityBook` that this reads."""

    def newest_event_day(self, *, before: datetime) -> str | None: ...
    def judged_on(self, day: str, *, segment: str | None, account: str | None) -> list[JudgedDecision]: ...
    def fraud_delays(self) -> Sequence[tuple[float, datetime]]: ...
    def state(self) -> QualityState | None: ...


class EachAmount(msgspec.Struct, frozen=True, kw_only=True):
    """Every payment decided by itself: the action of least expected cost for its own score and amount, reviews without
    limit. `saves_per_day`: against the advised pair of thresholds.
    """

    cost_per_day: Figure
    saves_per_day: Figure
    alerts_per_day: float
    reviews_per_day: float


class LedgerReport(msgspec.Struct, frozen=True, kw_only=True):
    """`fixed`: one pair of thresholds for all payments. `each`: None without advice."""

    fixed: ThresholdReport
    each: EachAmount | None


def label_delay(book: Book, *, now: datetime, fallback_s: float) -> LabelDelay:
    """The delay that the roll-up uses; before the first one, learned now. Raises LedgerUnavailable."""
    state = book.state()
    if state is not None:
        return state.delay
    delays = book.fraud_delays()
    happened = np.array([happened_s for happened_s, _ in delays])
    known = np.array([known_at.timestamp() for _, known_at in delays])
    return learn_arrivals(happened, known, now_s=now.timestamp(), fallback_s=fallback_s).delay


def report_from_ledger(
    book: Book, question: Question, *, now: datetime, fallback_s: float, advance: Advance
) -> LedgerReport:
    """The advice from every decision of the last matured days. Holds one day at a time. Raises LedgerUnavailable."""
    delay = label_delay(book, now=now, fallback_s=fallback_s)
    within = matured_range(question.days, delay, book.newest_event_day(before=now), now)
    days = days_of(within) if within else []
    scores: list[DayScores] = []
    each: list[EachByItself] = []
    costs = CostModel.of(question.costs)
    for number, day in enumerate(days, start=1):
        decisions = book.judged_on(day, segment=None, account=None)
        if decisions:
            cases = make_cases(decisions)
            scores += count_scores(day, cases, costs)
            each += decide_each(day, cases, costs)
        advance(number, len(days))
    fixed = make_report(question, scores, within, QualityState(now, delay, 0))
    return LedgerReport(fixed=fixed, each=_compared(fixed, scores, each))


def _compared(fixed: ThresholdReport, scores: Sequence[DayScores], each: Sequence[EachByItself]) -> EachAmount | None:
    if fixed.advice is None:
        return None
    whose = fixed.model_version
    window = make_window([one for one in scores if whose in (None, one.model_version)], fixed.costs)
    cut = window.cut(Thresholds(fixed.advice.best.review, fixed.advice.best.decline))
    worth: dict[str, float] = {}
    own = [one for one in each if whose in (None, one.model_version)]
    for one in own:
        worth[one.day] = worth.get(one.day, 0.0) + one.value
    by_day = [worth[day] for day in sorted(worth)]
    draws = Draws(len(by_day))
    saved = [value - below.worth(cut) for value, below in zip(by_day, window.days, strict=True)]
    return EachAmount(
        cost_per_day=draws.mean([-value for value in by_day]),
        saves_per_day=draws.mean(saved),
        alerts_per_day=sum(one.alerts for one in own) / len(by_day),
        reviews_per_day=sum(one.reviews for one in own) / len(by_day),
    )
