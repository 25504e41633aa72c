"""How much a distribution moves from day to day when nothing has happened, and how unusual a window is against that.

Payments of one day resemble each other: the same accounts, one weekday, one compromised merchant. A chi-square test
that takes rows for independent finds drift in every window. So the reference is cut into blocks (days), and what the
blocks differ by decides what counts as unusual: an overdispersed chi-square, its scale by the intra-block
correlation and its degrees of freedom by matching moments (Rao and Scott 1984; Satterthwaite 1946), compared with an F
distribution since both are estimated from few blocks. Days resemble their neighbours too (a merchant stays compromised
for weeks), so they count as fewer: `blocks` is divided by the sum of their autocorrelations (Geyer 1992).
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from scipy.special import fdtrc

from ml.features.compiled import Floats, Integers

SMOOTHING: Final = 0.5
RARE: Final = 0.005
"""Bins with a smaller share in the reference are tested together: a handful of rows must not decide."""
FEWEST_BLOCKS: Final = 5


class Spread(msgspec.Struct, frozen=True):
    """What the reference says about one set of bins.

    `counts`: rows per bin. `correlation`: intra-block, 0 (rows are independent) to 1. `freedom`: of the chi-square,
    at most bins - 1. `blocks`: how many independent ones it was estimated from, as good as. `block_rows`: rows in the
    block of a typical row.
    """

    counts: list[int]
    correlation: float
    freedom: float
    blocks: float
    block_rows: float

    @property
    def rows(self) -> int:
        return sum(self.counts)


class Evidence(msgspec.Struct, frozen=True):
    """`psi`: population stability index; `expected_psi`: what it is on average without drift; `p_value`: how likely a
    window is at least this unusual without drift.
    """

    psi: float
    expected_psi: float
    p_value: float

    @property
    def excess(self) -> float:
        """The index above what chance alone gives."""
        return self.psi - self.expected_psi


def shares(counts: Floats | Integers) -> Floats:
    """Counts (k,) as shares, each bin with half a row more, so that none is empty."""
    smoothed: Floats = (counts + SMOOTHING) / (counts.sum() + SMOOTHING * len(counts))
    return smoothed


def stability_index(reference: Integers, window: Integers) -> float:
    """Population stability index of two count vectors (k,): sum of (w - r) ln(w / r) over shares (Siddiqi 2006)."""
    r, w = shares(reference), shares(window)
    return float(np.sum((w - r) * np.log(w / r)))


def typical_block(sizes: Integers) -> float:
    """Rows in the block of a typical row: the mean block size weighted by rows."""
    return float(np.sum(sizes.astype(np.float64) ** 2) / max(sizes.sum(), 1))


def measure_spread(table: Integers) -> Spread:
    """`table`: (blocks, bins) rows of the reference per block and bin."""
    pooled = _pooled(table, table.sum(axis=0))
    sizes = table.sum(axis=1)
    kept = sizes >= max(2, sizes.mean() / 10)
    correlation, freedom, blocks = _moments(pooled[kept], sizes[kept].astype(np.float64), pooled.sum(axis=0))
    return Spread(table.sum(axis=0).tolist(), correlation, freedom, blocks, typical_block(sizes))


def weigh(spread: Spread, window: Integers, sizes: Integers) -> Evidence:
    """`window`: (k,) rows per bin; `sizes`: rows of the window per block (day)."""
    reference = np.array(spread.counts)
    n, bins = int(window.sum()), len(window)
    inflation = _inflation(spread, typical_block(sizes)) + _of_reference(spread) * n / spread.rows
    return Evidence(
        psi=stability_index(reference, window),
        expected_psi=(bins - 1) * inflation / n,
        p_value=_p_value(spread, reference, window, inflation),
    )


def _p_value(spread: Spread, reference: Integers, window: Integers, inflation: float) -> float:
    if not spread.blocks:
        return 1.0
    known, seen = _pooled(reference, reference), _pooled(window, reference)
    if len(known) < 2:
        return 1.0
    expected = (len(known) - 1) * inflation
    return float(fdtrc(spread.freedom, max(spread.blocks - 1, 1.0), _distance(seen, known) / expected))


def _inflation(spread: Spread, block_rows: float) -> float:
    """By how much the variance of a share exceeds that of independent rows (the design effect)."""
    return 1.0 + max(block_rows - 1.0, 0.0) * spread.correlation


def _of_reference(spread: Spread) -> float:
    """The same for the reference's own shares: not smaller than that of as many rows in `blocks` blocks."""
    return _inflation(spread, max(spread.block_rows, spread.rows / max(spread.blocks, 1.0)))


def _pooled(counts: Integers, reference: Integers) -> Integers:
    """The bins (last axis), those that are rare in the reference put together in one."""
    is_rare = reference < RARE * reference.sum()
    if not is_rare.any():
        return counts
    together = counts[..., is_rare].sum(axis=-1, keepdims=True)
    return np.concatenate([counts[..., ~is_rare], together], axis=-1)


def _distance(seen: Integers, reference: Integers) -> float:
    """Pearson's chi-square; a bin that should hold less than one row counts as if it should hold one."""
    n = float(seen.sum())
    expected = n * shares(reference)
    return float(np.sum((seen - expected) ** 2 / np.maximum(expected, 1.0)))


def _moments(blocks: Integers, sizes: Floats, reference: Integers) -> tuple[float, float, float]:
    """Intra-block correlation, degrees of freedom and number of independent blocks, from how far each lies from all."""
    bins = len(reference)
    if len(blocks) < FEWEST_BLOCKS or bins < 2:
        return 0.0, float(max(bins - 1, 1)), 0.0
    independent = len(blocks) / _autocorrelation_time(blocks, sizes, reference)
    effects = np.array([_distance(block, reference) for block in blocks]) / (bins - 1)
    effects *= 1 / (1 - 1 / max(independent, 2.0))
    correlation = float(np.clip(np.mean((effects - 1) / np.maximum(sizes - 1, 1)), 0.0, 1.0))
    relative = effects / (1 + (sizes - 1) * correlation)
    freedom = 2 / max(float(np.var(relative, ddof=1)), 1e-9)
    return correlation, float(np.clip(freedom, 1.0, bins - 1)), independent


def _autocorrelation_time(blocks: Integers, sizes: Floats, reference: Integers) -> float:
    """How many blocks in a row tell as much as one independent block: 1 + 2 times the autocorrelations until one is
    negative, over at most a third of the blocks.
    """
    mean = blocks.sum(axis=0) / sizes.sum()
    away = np.sqrt(sizes)[:, None] * (blocks / sizes[:, None] - mean) / np.sqrt(shares(reference))
    total, time = float(np.sum(away**2)), 1.0
    for lag in range(1, len(blocks) // 3 + 1):
        correlation = float(np.sum(away[:-lag] * away[lag:])) / max(total, 1e-12)
        if correlation <= 0:
            break
        time += 2 * correlation
    return time
