"""The protocol of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot, Bontempi 2022), chapters 3 and 5.

Train on 7 days, leave out 7 days of delay, test on 7 days without the cards that are known to be compromised by then.
Four folds, each a week after the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np

from ml.features.compiled import Integers
from ml.training.dataset import Dataset
from ml.training.split import Split

SCHEMA: Final = "card.toml"
FIRST_DAY: Final = (date(2018, 7, 25) - date(1970, 1, 1)).days
"""First day of training of the first fold, in days since 1970."""
FOLDS: Final = 4
DELAY_DAYS: Final = 7
TEST_DAYS: Final = 7
DAY_S: Final = 86_400.0
SPLIT_SIZES: Final = (67_240, 598, 58_264, 385)
"""Of the first fold: rows and frauds to train on, rows and frauds to test on. Other data or days have others."""


class ProtocolBroken(Exception):
    """The rows of a fold are not those of the published protocol."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Row numbers of a data set in time order. `earlier`, `train` and `test` are 7 days of delay apart.

    `earlier`: as long as `train` and before it; a model fitted on it is tried on the days `FIRST_DAY` and after, so
    that nothing is chosen on the test days. `choose`: those days.
    """

    earlier: Integers
    choose: Integers
    train: Integers
    test: Integers

    def sizes(self, dataset: Dataset) -> tuple[int, int, int, int]:
        """Rows and frauds to train on, rows and frauds to test on."""
        y = dataset.y
        return len(self.train), int(y[self.train].sum()), len(self.test), int(y[self.test].sum())

    def choosing(self, dataset: Dataset) -> Dataset:
        """The data set as training sees it while it chooses among candidates."""
        return replace(dataset, split=Split(self.earlier, self.choose, self.test, DELAY_DAYS * DAY_S))

    def fitting(self, dataset: Dataset) -> Dataset:
        """The data set as the last fit sees it."""
        return replace(dataset, split=Split(self.train, self.choose, self.test, DELAY_DAYS * DAY_S))


def folds(dataset: Dataset, *, training_days: int = 7) -> list[Fold]:
    """The four folds. More days of training reach further back; the test days stay the same rows.

    Raises:
        ProtocolBroken: the first fold of 7 days does not have `SPLIT_SIZES`.
    """
    found = [make_fold(dataset, FIRST_DAY + 7 * week, training_days=training_days) for week in range(FOLDS)]
    if training_days == 7 and found[0].sizes(dataset) != SPLIT_SIZES:
        raise ProtocolBroken(f"the first fold has {found[0].sizes(dataset)} rows and frauds, not {SPLIT_SIZES}")
    return found


def make_fold(dataset: Dataset, first_day: int, *, training_days: int = 7) -> Fold:
    """The fold whose last 7 days of training begin on `first_day`."""
    test_from, shift = first_day + 7 + DELAY_DAYS, 7 + DELAY_DAYS
    train_from = first_day + 7 - training_days
    return Fold(
        earlier=_days(dataset, train_from - shift, first_day + 7 - shift),
        choose=_days(dataset, first_day, first_day + 7),
        train=_days(dataset, train_from, first_day + 7),
        test=_test_rows(dataset, first_day, test_from),
    )


def _days(dataset: Dataset, first: int, end: int) -> Integers:
    return np.flatnonzero((dataset.days >= first) & (dataset.days < end))


def _test_rows(dataset: Dataset, first_day: int, test_from: int) -> Integers:
    """Each test day without the cards whose fraud was known a delay before: from the 7 days of training on."""
    rows = [
        _unknown(dataset, day, _days(dataset, first_day, day - DELAY_DAYS))
        for day in range(test_from, test_from + TEST_DAYS)
    ]
    return np.concatenate(rows)


def _unknown(dataset: Dataset, day: int, known: Integers) -> Integers:
    cards = dataset.cards
    if cards is None:
        raise ProtocolBroken("the schema names no card")
    today = _days(dataset, day, day + 1)
    return today[~np.isin(cards[today], cards[known][dataset.y[known] > 0])]
