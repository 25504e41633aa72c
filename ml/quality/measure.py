"""From the decisions of a day to cells: each measure as a ratio of sums over accounts.

The measures follow docs/quality.md. A payment counts as caught when it was alerted (reviewed or declined); without a
label it counts as genuine, or under the label policy `explicit` not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from config.contracts import LabelPolicy
from ml.evaluation.cost import CostModel
from ml.quality.cells import Cell, Dimension, Ratios
from ml.quality.ratio import Ratio

if TYPE_CHECKING:
    from ml.features.compiled import Floats, Integers
    from ml.quality.cases import Cases
    from ml.quality.delay import ArrivalCurve

MOST_VALUES: Final = 20
"""Values of a dimension that have a cell of their own on a day; the rarer ones share `OTHERS`."""
OTHERS: Final = "(other)"
LEAST_ARRIVED: Final = 0.05
"""With fewer of its labels there than this, nothing is estimated about a decision."""
ACCOUNTS_AT_ONCE: Final = 500

KnownFrauds = Callable[[Sequence[str]], set[str]]
"""Those of the accounts that were known for fraud before the day began."""


@dataclass(frozen=True, slots=True)
class Judging:
    """What a day is judged by. `k`: the alerts that can be looked at in a day."""

    arrivals: ArrivalCurve
    now_s: float
    k: int
    known_frauds: KnownFrauds
    costs: CostModel = field(default_factory=CostModel)
    label_policy: LabelPolicy = "chargebacks"


def cells_of_day(day: str, cases: Cases, judging: Judging) -> list[Cell]:
    """The cell of all decisions of the day, one per model version, one per segment."""
    cells = [_cell(day, "all", "", cases, judging)]
    for version, rows in _split(cases, cases.model_versions):
        cells.append(_cell(day, "model_version", version, rows, judging))
    for segment, rows in _split(cases, cases.segments):
        cells.append(_cell(day, "segment", segment, rows, judging))
    return cells


def _split(cases: Cases, values: np.ndarray[tuple[int], np.dtype[np.object_]]) -> Iterator[tuple[str, Cases]]:
    """The cases by value, the commonest first, the rare ones together; without those that have none."""
    named = values != ""
    common = [value for value, _ in Counter(values[named].tolist()).most_common(MOST_VALUES)]
    for value in common:
        yield value, cases.where(values == value)
    others = named & ~np.isin(values, common)
    if others.any():
        yield OTHERS, cases.where(others)


def _cell(day: str, dimension: Dimension, value: str, cases: Cases, judging: Judging) -> Cell:
    amount = judging.costs.amounts(cases.amount, len(cases))
    return Cell(
        day=day,
        dimension=dimension,
        value=value,
        decisions=len(cases),
        labelled=int(cases.labelled.sum()),
        frauds=int(cases.fraud.sum()),
        fraud_amount=float((cases.fraud * amount).sum()),
        explored=int(cases.explored.sum()),
        measures=_measures(cases, cases.fraud, amount, judging, ranked=dimension != "segment"),
        estimates=_estimates(cases, amount, judging, ranked=dimension != "segment"),
    )


def _estimates(cases: Cases, amount: Floats, judging: Judging, *, ranked: bool) -> Ratios | None:
    """The measures with each known fraud counted 1 / (share of labels that are there at its age) times.

    None under the policy `explicit`: the labels that are there are the sample, nothing stands for those on their way.
    """
    if judging.label_policy == "explicit":
        return None
    arrived = judging.arrivals.share_at(judging.now_s - cases.event_time_s)
    if arrived.min() < LEAST_ARRIVED:
        return None
    return _measures(cases, cases.fraud / arrived, amount, judging, ranked=ranked)


def _measures(cases: Cases, fraud: Floats, amount: Floats, judging: Judging, *, ranked: bool) -> Ratios:
    ratios = measure_actions(cases, fraud, amount, judging.costs)
    return ratios | _ranked(cases, cases.weight * fraud, judging) if ranked else ratios


def measure_actions(cases: Cases, fraud: Floats, amount: Floats, costs: CostModel) -> Ratios:
    """Every measure of what was alerted and declined, but those of ranks, over account-days.

    `fraud`: (n,) how many frauds each row stands for, before its weight. `amount`: (n,) without gaps.
    """
    sums = _Sums(cases.account)
    weight, alerted, declined = cases.weight, cases.alerted, cases.declined
    frauds, good = weight * fraud, weight * (1 - fraud)
    return {
        "accuracy": sums.ratio(alerted * frauds + (1 - alerted) * good, weight),
        "precision": sums.ratio(alerted * frauds, alerted * weight),
        "recall": sums.ratio(alerted * frauds, frauds),
        "decline_precision": sums.ratio(declined * frauds, declined * weight),
        "decline_recall": sums.ratio(declined * frauds, frauds),
        "false_positive_rate": sums.ratio(alerted * good, good),
        "alert_rate": sums.ratio(alerted, np.ones(len(cases))),
        "fraud_rate": sums.ratio(frauds, weight),
        "value_detected": sums.ratio(alerted * frauds * amount, frauds * amount),
        "cost": sums.ratio(weight * _cost(cases, fraud, amount, costs), weight),
    }


def _cost(cases: Cases, fraud: Floats, amount: Floats, costs: CostModel) -> Floats:
    """(n,) what each decision cost, gains negative."""
    approve, review, decline = costs.values(fraud, amount)
    value: Floats = np.where(cases.declined > 0, decline, np.where(cases.alerted > 0, review, approve))
    return -value


def _ranked(cases: Cases, frauds: Floats, judging: Judging) -> Ratios:
    """Precision among the day's `k` highest scores, and card precision where decisions name accounts."""
    order = np.argsort(-cases.score, kind="stable")
    ratios = {"precision_at_k": _of_slots(frauds[order[: judging.k]], judging.k)}
    if any(cases.account_names[code] is not None for code in np.unique(cases.account)):
        ratios["card_precision_at_k"] = _of_slots(_alerted_cards(cases, order, frauds, judging), judging.k)
    return ratios


def _alerted_cards(cases: Cases, order: Integers, frauds: Floats, judging: Judging) -> Floats:
    """Of the `k` accounts with the highest scores, the frauds of each (a compromised account counts once).

    Accounts known for fraud before the day began are left out: they have been dealt with.
    """
    found = np.zeros(len(cases.account_names))
    np.maximum.at(found, cases.account, frauds)
    ranked = [code for code in dict.fromkeys(cases.account[order].tolist()) if cases.account_names[code] is not None]
    alerted: list[int] = []
    for start in range(0, len(ranked), ACCOUNTS_AT_ONCE):
        few = ranked[start : start + ACCOUNTS_AT_ONCE]
        known = judging.known_frauds([str(cases.account_names[code]) for code in few])
        alerted += [code for code in few if cases.account_names[code] not in known]
        if len(alerted) >= judging.k:
            break
    hits: Floats = found[alerted[: judging.k]]
    return hits


def _of_slots(hits: Floats, k: int) -> Ratio:
    """Hits over `k` slots; a slot that nothing filled is a miss."""
    return Ratio(float(hits.sum()), float(k), float((hits**2).sum()), float(hits.sum()), float(k), k)


class _Sums:
    """Adds rows up by account."""

    def __init__(self, codes: Integers) -> None:
        self._codes: Integers = np.unique(codes, return_inverse=True)[1]

    def ratio(self, part: Floats, whole: Floats) -> Ratio:
        """`part` and `whole`: (n,), a row's share of both sums."""
        parts = np.bincount(self._codes, weights=part)
        wholes = np.bincount(self._codes, weights=whole)
        return Ratio(
            part=float(parts.sum()),
            whole=float(wholes.sum()),
            part_2=float((parts**2).sum()),
            cross=float((parts * wholes).sum()),
            whole_2=float((wholes**2).sum()),
            n=int(((part != 0) | (whole != 0)).sum()),
        )
