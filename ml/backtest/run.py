"""A backtest over the last days of the ledger. Holds one day without its features; reads page by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec
import numpy as np

from config.errors import ModelRefused
from ml.advisor.ledger_days import Advance, label_delay
from ml.advisor.ledger_days import Book as DelayBook
from ml.advisor.report import days_of, matured_range
from ml.backtest.compare import compare_day, decided
from ml.backtest.report import ACTIONS, Backtest, DayComparison, lines, summarise, swap_sets
from ml.backtest.trial import Trial
from ml.costs import CostMatrix
from ml.evaluation.cost import CostModel
from ml.features.compiled import Floats, Integers
from ml.ledger.judged import PastDecision
from ml.quality.cases import make_cases
from ml.quality.cells import JudgedDecision, LabelDelay, end_of, is_matured, start_of


class Book(DelayBook, Protocol):
    """The part of `ml.ledger.quality_book.QualityBook` that this reads."""

    def past_pages(self, day: str, *, account: str | None) -> Iterable[list[PastDecision]]: ...
    def count_degraded(self, since: datetime, until: datetime) -> int: ...


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that the trial has otherwise. `is_fraud`: None without a label."""

    decision_id: str
    transaction_id: str
    day: str
    amount: float | None
    score_before: float
    score_after: float
    before: str
    after: str
    is_fraud: bool | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to look at. `days`: the last so many that are matured, or, with `provisional`, of all. `account`: the field
    whose values stand or fall together.
    """

    days: int
    provisional: bool
    account: str | None
    costs: CostMatrix
    fallback_s: float


@dataclass(frozen=True, slots=True)
class _Day:
    """Decisions of a day with what the trial has for them."""

    judged: list[JudgedDecision]
    after: list[Integers]

    def compare(self, day: str, costs: CostModel, *, is_matured: bool) -> DayComparison:
        cases = make_cases(self.judged)
        after = np.concatenate(self.after)
        return compare_day(day, cases, np.where(after < 0, decided(cases), after), costs, is_matured=is_matured)


def run_backtest(
    book: Book, plan: Plan, trial: Trial, *, now: datetime, advance: Advance, tell: Callable[[Changed], None]
) -> Backtest:
    """Decide the last days again. `tell` is given every decision that would have been another.

    Raises:
        LedgerUnavailable: the database cannot be used.
        ModelRefused: no decision of these days can be compared; the message says why.
    """
    delay = label_delay(book, now=now, fallback_s=plan.fallback_s)
    newest = book.newest_event_day(before=now)
    within = matured_range(plan.days, LabelDelay(0.0, False, 0) if plan.provisional else delay, newest, now)
    days = days_of(within) if within else []
    left_out: Counter[str] = Counter()
    compared: list[DayComparison] = []
    costs = CostModel.of(plan.costs)
    for number, day in enumerate(days, start=1):
        found = _read_day(book, plan, trial, day, left_out, tell)
        if found.judged:
            compared.append(found.compare(day, costs, is_matured=is_matured(day, delay.delay_s, now)))
        advance(number, len(days))
    if within and (degraded := book.count_degraded(start_of(within[0]), end_of(days[-1]))):
        left_out["made by the rules alone"] = degraded
    if within is None or not compared:
        raise ModelRefused(_nothing(within, left_out))
    return _backtest(plan, trial, within, compared, left_out)


def _read_day(
    book: Book, plan: Plan, trial: Trial, day: str, left_out: Counter[str], tell: Callable[[Changed], None]
) -> _Day:
    found = _Day([], [])
    for page in book.past_pages(day, account=plan.account):
        scores = trial.scores(page, left_out)
        kept = [one for one, score in zip(page, scores.tolist(), strict=True) if score == score]
        if kept:
            known = scores[~np.isnan(scores)]
            actions = trial.actions(kept, known)
            found.judged.extend(one.judged for one in kept)
            found.after.append(actions)
            _tell_changed(day, kept, known, actions, tell)
    return found


def _tell_changed(
    day: str, page: list[PastDecision], scores: Floats, actions: Integers, tell: Callable[[Changed], None]
) -> None:
    before = decided(make_cases([one.judged for one in page]))
    for number in np.flatnonzero((actions >= 0) & (actions != before)).tolist():
        one = page[number]
        tell(
            Changed(
                decision_id=one.decision_id,
                transaction_id=one.transaction_id,
                day=day,
                amount=one.judged.amount,
                score_before=one.judged.probability,
                score_after=float(scores[number]),
                before=ACTIONS[before[number]],
                after=ACTIONS[actions[number]],
                is_fraud=one.judged.is_fraud,
            )
        )


def _backtest(
    plan: Plan, trial: Trial, within: tuple[str, str], days: list[DayComparison], left_out: Counter[str]
) -> Backtest:
    before, after, saved = summarise(days)
    return Backtest(
        trial=trial.name,
        thresholds=trial.thresholds,
        model_version=trial.bundle.model_version if trial.bundle else None,
        since=within[0],
        until=within[1],
        is_provisional=not all(day.is_matured for day in days),
        decisions=sum(day.decisions for day in days),
        left_out=dict(left_out),
        costs=plan.costs,
        before=before,
        after=after,
        saves_per_day=saved,
        saves=saved.value * len(days),
        swaps=swap_sets(days),
        days=lines(days),
        notes=_notes(trial),
    )


def _notes(trial: Trial) -> list[str]:
    if trial.bundle is not None and trial.bundle.metadata.get("trained_until_s") is None:
        return ["the model does not say until when it has learned: make sure that these days are new to it"]
    return []


def _nothing(within: tuple[str, str] | None, left_out: Counter[str]) -> str:
    if within is None:
        return "the ledger has no decisions"
    reasons = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items())
    return f"nothing to compare from {within[0]} to before {within[1]}: {reasons or 'no decisions'}"
