"""One day: what was decided beside what the trial has, in sums that add up over days."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ml.advisor.counting import expected_fraud, unknown
from ml.backtest.report import ACTIONS, DayComparison, Side, Step, Swap
from ml.evaluation.cost import CostModel
from ml.features.compiled import Floats, Integers
from ml.quality.cases import Cases
from ml.quality.measure import measure_actions


def decided(cases: Cases) -> Integers:
    """(n,) numbers of `ACTIONS`: what the score or a list called for; a decline that was let through is one."""
    actions: Integers = (cases.alerted + cases.declined).astype(np.int64)
    return actions


def compare_day(day: str, cases: Cases, after: Integers, costs: CostModel, *, is_matured: bool) -> DayComparison:
    """Both sides of at least one decision. `after`: (n,) numbers of `ACTIONS`."""
    before = decided(cases)
    amount = costs.amounts(cases.amount, len(cases))
    fraud = expected_fraud(cases)
    worth = np.vstack(costs.values(fraud, amount)) * cases.weight
    return DayComparison(
        day=day,
        is_matured=is_matured,
        decisions=len(cases),
        before=_side(cases, before, fraud, amount, worth, costs),
        after=_side(cases, after, fraud, amount, worth, costs),
        swaps=_swaps(cases, before, after, fraud, amount, worth),
    )


def _side(cases: Cases, actions: Integers, fraud: Floats, amount: Floats, worth: Floats, costs: CostModel) -> Side:
    alerted, declined = (actions > 0).astype(np.float64), (actions == 2).astype(np.float64)
    acted = replace(cases, alerted=alerted, declined=declined)
    return Side(
        reviews=int((actions == 1).sum()),
        declines=int((actions == 2).sum()),
        cost=-float(worth[actions, np.arange(len(actions))].sum()),
        measures=measure_actions(acted, fraud, amount, costs),
    )


def _swaps(
    cases: Cases, before: Integers, after: Integers, fraud: Floats, amount: Floats, worth: Floats
) -> dict[Step, Swap]:
    rows = np.arange(len(before))
    saves = worth[after, rows] - worth[before, rows]
    weight, is_unknown = cases.weight, unknown(cases) * cases.weight
    columns = (weight * fraud, weight * amount, weight * fraud * amount, is_unknown, saves)
    found = {}
    for step in np.unique(3 * before + after).tolist():
        here = 3 * before + after == step
        sums = (float(column[here].sum()) for column in columns)
        found[ACTIONS[step // 3], ACTIONS[step % 3]] = Swap(int(here.sum()), *sums)
    return found
