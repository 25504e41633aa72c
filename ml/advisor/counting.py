"""From the decisions of a day to sums by score bin, and what deciding each payment by its own amount would be worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from ml.advisor.scores import LAST, STEP, DayScores, Sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml.evaluation.cost import CostModel
    from ml.features.compiled import Floats, Integers
    from ml.quality.cases import Cases

_TINY: Final = 1e-300


class EachByItself(msgspec.Struct, frozen=True):
    """One model's payments of a day, had each got the action of least expected cost for its own score and amount.

    `value`: worth in money; `alerts`, `reviews`: how many decisions.
    """

    day: str
    model_version: str
    value: float
    alerts: int
    reviews: int


def count_scores(day: str, cases: Cases, costs: CostModel) -> list[DayScores]:
    """The sums of one day, one item per model version. Decisions by a list are left out: no threshold made them."""
    return [_counted(day, version, own, costs) for version, own in _by_model(cases)]


def decide_each(day: str, cases: Cases, costs: CostModel) -> list[EachByItself]:
    """What the rule of minimum risk would have done on a day, one item per model version (Elkan 2001)."""
    return [_decided(day, version, own, costs) for version, own in _by_model(cases)]


def _by_model(cases: Cases) -> Iterator[tuple[str, Cases]]:
    scored = cases.where(~cases.listed)
    for version in sorted(set(scored.model_versions.tolist())):
        yield version, scored.where(scored.model_versions == version)


def _decided(day: str, version: str, cases: Cases, costs: CostModel) -> EachByItself:
    amount = costs.amounts(cases.amount, len(cases))
    actions = np.argmax(np.vstack(costs.values(cases.score, amount)), axis=0)
    worth = np.vstack(costs.values(expected_fraud(cases), amount))[actions, np.arange(len(cases))]
    value = float((worth * cases.weight).sum())
    return EachByItself(day, version, value, int((actions > 0).sum()), int((actions == 1).sum()))


def expected_fraud(cases: Cases) -> Floats:
    """(n,) 1 for a fraud, 0 for what is genuine or has no label; of an unknown decline, its score."""
    fraud: Floats = np.where(unknown(cases), cases.score, cases.fraud)
    return fraud


def unknown(cases: Cases) -> NDArray[np.bool_]:
    """(n,) declines without a label: no chargeback can come. Those that exploration let through are not among them."""
    found: NDArray[np.bool_] = (cases.declined > 0) & (cases.labelled == 0) & (cases.explored == 0)
    return found


def bins_of(score: Floats) -> Integers:
    """(n,) the bin that each probability (0 to 1) lies in: bin n begins at `edge(n)`."""
    # Rounded before it is cut off: an edge must lie in the bin that begins there.
    odds = np.log(np.maximum(score, _TINY)) - np.log(np.maximum(1 - score, _TINY))
    places = np.floor(np.round(odds / STEP, 9)).astype(np.int64)
    return np.clip(places, -LAST, LAST - 1)


def _counted(day: str, version: str, cases: Cases, costs: CostModel) -> DayScores:
    bins, at = np.unique(bins_of(cases.score), return_inverse=True)
    amount = costs.amounts(cases.amount, len(cases))
    fraud, is_unknown = expected_fraud(cases), unknown(cases) * cases.weight
    weighted = cases.weight * fraud, cases.weight * (1 - fraud)
    columns = (
        weighted[1],
        weighted[1] * amount,
        weighted[0],
        weighted[0] * amount,
        is_unknown,
        is_unknown * amount,
        is_unknown * fraud,
        is_unknown * fraud * amount,
    )
    sums = [np.bincount(at, weights=column, minlength=len(bins)).tolist() for column in columns]
    counts = np.bincount(at, minlength=len(bins)).tolist()
    rows = [Sums(*row) for row in zip(counts, *_short(sums), strict=True)]
    return DayScores(day=day, model_version=version, bins=bins.tolist(), sums=rows)


def _short(columns: list[list[float]]) -> Iterator[list[float]]:
    """Twelve digits: sums of amounts would otherwise be written with all the noise of their last bits."""
    for column in columns:
        yield [float(f"{value:.12g}") for value in column]
