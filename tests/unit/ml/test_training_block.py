"""The split of data from the ledger: the newest block judges, and every window is a whole label delay from the next."""

from __future__ import annotations

import numpy as np
import pytest

from config.errors import ModelRefused
from ml.training.block import BLOCK_FRAUDS, split_newest_block

DAY_S = 86_400.0
START_S = 1_780_000_000.0


def payments(n: int, *, days: float, fraud_share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    times = START_S + rng.uniform(0, days * DAY_S, n)  # not in time order: late arrivals
    return times, (rng.random(n) < fraud_share).astype(float)


def test_windows_follow_each_other_with_the_whole_delay_between() -> None:
    times, y = payments(40_000, days=100, fraud_share=0.03)

    split = split_newest_block(times, y, label_delay_s=7 * DAY_S)

    ends = [float(times[rows].max()) for rows in (split.train, split.validate)]
    starts = [float(times[rows].min()) for rows in (split.validate, split.test)]
    assert all(start - end >= 7 * DAY_S for start, end in zip(starts, ends, strict=True))
    assert times[split.test].max() == times.max()
    assert all(np.all(np.diff(times[rows]) >= 0) for rows in (split.train, split.validate, split.test))


def test_a_block_is_as_short_as_it_can_be_with_enough_frauds_in_a_week_or_more() -> None:
    rare, common = payments(40_000, days=100, fraud_share=0.03), payments(40_000, days=100, fraud_share=0.3)

    spans = []
    for times, y in (rare, common):
        split = split_newest_block(times, y, label_delay_s=7 * DAY_S)
        spans.append((times[split.test].max() - times[split.test].min()) / DAY_S)
        assert y[split.test].sum() >= BLOCK_FRAUDS

    assert 14 < spans[0] < 20
    assert spans[1] == pytest.approx(7, abs=0.1)


def test_with_few_frauds_the_block_takes_a_quarter_of_them() -> None:
    times, y = payments(20_000, days=200, fraud_share=0.01)

    split = split_newest_block(times, y, label_delay_s=DAY_S)

    assert y[split.test].sum() == pytest.approx(y.sum() / 4, abs=2)


@pytest.mark.parametrize(("n", "days"), [(400, 100.0), (20_000, 16.0), (0, 1.0)])
def test_too_few_frauds_or_too_short_a_history_is_refused_with_the_counts(n: int, days: float) -> None:
    times, y = payments(n, days=days, fraud_share=0.03)

    with pytest.raises(ModelRefused, match=r"gaps of 7\.0 days: \d+ frauds to train on"):
        split_newest_block(times, y, label_delay_s=7 * DAY_S)


def test_without_any_fraud_nothing_is_split() -> None:
    with pytest.raises(ModelRefused, match="0 frauds"):
        split_newest_block(START_S + np.arange(1000) * 3600.0, np.zeros(1000), label_delay_s=DAY_S)
