"""What a person should hear loudly before a model serves: it loses money, it is too good to be true, its level is
off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import rankdata

from ml.features.compiled import Floats, Integers
from ml.training.dataset import Dataset
from ml.training.judging import Judgement

TOO_GOOD: Final = 0.999
"""ROC AUC of one column alone from which it is more likely to be the label in disguise than a lucky find."""
FEWEST_FRAUDS: Final = 20
HURTS: Final = 0.25
"""Share of what a perfect model would gain that a model may lose, before it is held back for it."""
LEVEL_OFF: Final = 3.0
"""Times that the mean probability may be above or below the share of fraud before it is said."""
_MOST_GOOD: Final = 50_000


@dataclass(frozen=True, slots=True)
class Doubts:
    """`warnings`: sentences for people. `loses_money`: beyond chance and more than `HURTS`, so that the model may not
    become the first champion by itself.
    """

    warnings: tuple[str, ...]
    loses_money: bool


def find_doubts(dataset: Dataset, judgement: Judgement) -> Doubts:
    """Look at the figures of the test window and at its columns one by one."""
    loses = judgement.money_gain.high < 0 and judgement.outcome.share_of_perfect < -HURTS
    found = [*_money(judgement, held_back=loses), *_level(judgement), *_too_good(dataset)]
    return Doubts(tuple(found), loses)


def _money(judgement: Judgement, *, held_back: bool) -> list[str]:
    result = judgement.outcome
    if result.value >= result.approve_all:
        return []
    sure = "beyond chance" if held_back else "a little, or by chance"
    return [
        f"at its thresholds the model LOSES MONEY against accepting every payment, {sure}: worth {result.value:,.0f} "
        f"against {result.approve_all:,.0f} on the test window (costs: docs/training.md)"
    ]


def _level(judgement: Judgement) -> list[str]:
    expected, found = judgement.mean_probability, judgement.base_rate
    frauds = max(expected, found) * judgement.outcome.n
    if frauds < FEWEST_FRAUDS or 1 / LEVEL_OFF < expected / max(found, 1e-12) < LEVEL_OFF:
        return []
    hint = "; are the labels of the newest payments in yet?" if expected > found else ""
    return [f"the model expects {expected:.2%} fraud where the test window has {found:.2%}{hint}"]


def _too_good(dataset: Dataset) -> list[str]:
    test = dataset.split.test
    frauds, good = test[dataset.y[test] > 0], test[dataset.y[test] == 0]
    if len(frauds) < FEWEST_FRAUDS:
        return []
    rows = np.concatenate([frauds, good[:: max(1, len(good) // _MOST_GOOD)]])
    areas = {name: _area(dataset, place, rows) for place, name in enumerate(dataset.spec.columns)}
    return [
        f"the column {name!r} alone tells fraud from genuine almost perfectly (ROC AUC {area:.4f}): is it known when "
        "the payment is made? If not, set model = false under its field and train again"
        for name, area in areas.items()
        if area >= TOO_GOOD
    ]


def _area(dataset: Dataset, column: int, rows: Integers) -> float:
    """ROC AUC of one column, in the better direction; missing ranks lowest, categories by their training rate."""
    values = dataset.X[rows, column]
    if column in dataset.categories:
        values = _training_rate(dataset, column, values)
    ranks = rankdata(np.where(np.isnan(values), -np.inf, values))
    is_fraud = dataset.y[rows] > 0
    frauds, good = int(is_fraud.sum()), int((~is_fraud).sum())
    area = (ranks[is_fraud].sum() - frauds * (frauds + 1) / 2) / (frauds * good)
    return float(max(area, 1 - area))


def _training_rate(dataset: Dataset, column: int, codes: Floats) -> Floats:
    """The share of fraud that each row's category had in the training window; unknown and missing are one more."""
    train, unknown = dataset.split.train, dataset.categories[column]
    seen, asked = (np.where(np.isnan(one), unknown, one).astype(np.int64) for one in (dataset.X[train, column], codes))
    counts = np.bincount(seen, minlength=unknown + 1)
    frauds = np.bincount(seen, weights=dataset.y[train], minlength=unknown + 1)
    rates: Floats = (frauds / np.maximum(counts, 1))[asked]
    return rates
