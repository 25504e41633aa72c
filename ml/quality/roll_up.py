"""The roll-up: which days changed, how late labels are, and the cells of each day that is due.

Limited to days that can still change: those with a new decision or label, and once in a while those whose labels are
still arriving. A day is made anew as a whole, so that a roll-up that is repeated or interrupted does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import numpy as np

from config.contracts import LabelPolicy
from ml.advisor.counting import count_scores
from ml.advisor.scores import DayScores
from ml.evaluation.cost import CostModel
from ml.quality.cases import make_cases
from ml.quality.cells import Cell, JudgedDecision, QualityState, day_of, start_of
from ml.quality.delay import ArrivalCurve, learn_arrivals
from ml.quality.measure import Judging, cells_of_day

REFRESH_YOUNG_AFTER: Final = timedelta(hours=1)


class Book(Protocol):
    """The part of `ml.ledger.quality_book.QualityBook` that the roll-up uses."""

    def mark_changed_days(self) -> int: ...
    def mark_young_days(self, first: str, *, rolled_before: datetime) -> None: ...
    def due_days(self) -> list[str]: ...
    def judged_on(self, day: str, *, segment: str | None, account: str | None) -> list[JudgedDecision]: ...
    def known_for_fraud(self, entity: str, values: Sequence[str], *, before: datetime) -> set[str]: ...
    def fraud_delays(self) -> Iterable[tuple[float, datetime]]: ...
    def store_day(
        self, day: str, cells: Sequence[Cell], *, rolled_at: datetime, scores: Sequence[DayScores] = ()
    ) -> None: ...
    def store_state(self, state: QualityState) -> None: ...


@dataclass(frozen=True, slots=True)
class RollUpPlan:
    """What to roll up by. `account`: the entity that is alerted, its field; `fallback_s`: the label delay as set,
    for good if `is_delay_fixed`; `label_policy`: what a decision without a label is. `costs`: what mistakes cost.
    """

    k: int
    segment: str | None
    account: tuple[str, str] | None
    fallback_s: float
    label_policy: LabelPolicy = "chargebacks"
    is_delay_fixed: bool = False
    costs: CostModel = field(default_factory=CostModel)


@dataclass(frozen=True, slots=True)
class RolledUp:
    """How many days were made anew, and how many are left for the next time."""

    days: int
    left: int


def roll_up(book: Book, plan: RollUpPlan, *, now: datetime, is_over: Callable[[], bool]) -> RolledUp:
    """Make the cells of every day that is due, until `is_over`; at least one day.

    Raises: LedgerUnavailable; what was stored before stays.
    """
    arrivals = learn_label_delay(book, now, plan.fallback_s, is_fixed=plan.is_delay_fixed)
    book.mark_changed_days()
    first_young = day_of(now - timedelta(seconds=arrivals.delay.delay_s, days=1))
    book.mark_young_days(first_young, rolled_before=now - REFRESH_YOUNG_AFTER)
    due = book.due_days()
    done = 0
    for day in due:
        _roll_up_day(book, plan, day, arrivals, now)
        done += 1
        if is_over():
            break
    book.store_state(QualityState(now, arrivals.delay, plan.k))
    return RolledUp(done, len(due) - done)


class Delays(Protocol):
    """The part of the book that tells how late labels were."""

    def fraud_delays(self) -> Iterable[tuple[float, datetime]]: ...


def learn_label_delay(book: Delays, now: datetime, fallback_s: float, *, is_fixed: bool = False) -> ArrivalCurve:
    """How late labels are by what is known at `now`; `fallback_s` while too few say so, or if it `is_fixed`.

    Training asks here too: a decision matures for both at the same age. Raises LedgerUnavailable.
    """
    if is_fixed:
        return ArrivalCurve(np.empty(0), np.empty(0), 0, fallback_s)
    delays = list(book.fraud_delays())
    return learn_arrivals(
        np.array([happened_s for happened_s, _ in delays]),
        np.array([known_at.timestamp() for _, known_at in delays]),
        now_s=now.timestamp(),
        fallback_s=fallback_s,
    )


def _roll_up_day(book: Book, plan: RollUpPlan, day: str, arrivals: ArrivalCurve, now: datetime) -> None:
    entity, name = plan.account or ("", None)
    judging = Judging(
        arrivals=arrivals,
        now_s=now.timestamp(),
        k=plan.k,
        costs=plan.costs,
        known_frauds=lambda values: book.known_for_fraud(entity, values, before=start_of(day)),
        label_policy=plan.label_policy,
    )
    decisions = book.judged_on(day, segment=plan.segment, account=name)
    if not decisions:
        book.store_day(day, [], rolled_at=now)
        return
    cases = make_cases(decisions, plan.label_policy)
    scores = count_scores(day, cases, plan.costs)
    book.store_day(day, cells_of_day(day, cases, judging), rolled_at=now, scores=scores)
