"""The split of data from the ledger: judged on the newest block that has matured, always a whole label delay apart.

train | gap | validate | gap | newest block
"""

from __future__ import annotations

from typing import Final

import numpy as np

from config.errors import ModelRefused
from ml.features.compiled import Floats, Integers
from ml.training.split import TRAIN_FRAUDS, WINDOW_FRAUDS, Split

BLOCK_FRAUDS: Final = 200
"""Frauds that a block should hold: what the gate needs."""
BLOCK_S: Final = 7 * 86_400.0
"""Shortest block: a whole week, because fraud has weekdays."""
BLOCK_SHARE: Final = 0.25
"""Largest share of the frauds, and of the time, that one block may take from training."""


def split_newest_block(times: Floats, y: Floats, *, label_delay_s: float) -> Split:
    """Cut matured, labelled rows. `times`: (n,) Unix seconds, `y`: (n,) 0 or 1.

    The newest block is as short as it can be with `BLOCK_FRAUDS` frauds in a week or more; so is the block before it,
    which sets calibration and thresholds. What is older trains.

    Raises:
        ModelRefused: too few frauds, or a history too short for two gaps of `label_delay_s`.
    """
    order = np.argsort(times, kind="stable")
    newest, test_from_s = _block(order, times, y)
    earlier = order[times[order] < test_from_s - label_delay_s]
    middle, validate_from_s = _block(earlier, times, y)
    train = earlier[times[earlier] < validate_from_s - label_delay_s]
    split = Split(train, middle, newest, label_delay_s)
    _require_usable(split, y)
    return split


def _block(order: Integers, times: Floats, y: Floats) -> tuple[Integers, float]:
    """The newest rows of `order`, and when they begin."""
    frauds = order[y[order] > 0]
    if not len(frauds):
        return order[:0], -np.inf
    wanted = max(1, min(BLOCK_FRAUDS, int(BLOCK_SHARE * len(frauds))))
    span_s = float(times[order[-1]] - times[order[0]])
    from_s = min(float(times[frauds[-wanted]]), float(times[order[-1]]) - min(BLOCK_S, BLOCK_SHARE * span_s))
    return order[times[order] >= from_s], from_s


def _require_usable(split: Split, y: Floats) -> None:
    frauds = [int(y[rows].sum()) for rows in (split.train, split.validate, split.test)]
    if frauds[0] < TRAIN_FRAUDS or min(frauds[1:]) < WINDOW_FRAUDS:
        raise ModelRefused(
            f"the ledger's matured labels do not reach for three windows with gaps of {split.gap_s / 86_400:.1f} days: "
            f"{frauds[0]} frauds to train on ({TRAIN_FRAUDS} needed), then {frauds[1]} and {frauds[2]} "
            f"({WINDOW_FRAUDS} each)"
        )
