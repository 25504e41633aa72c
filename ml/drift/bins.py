"""Where a value falls: quantile bins for numbers, the most frequent codes for categories, a bin for what is missing."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ml.features.compiled import Floats, Integers

QUANTILE_BINS: Final = 10
CATEGORY_BINS: Final = 12
RANGE: Final = (0.001, 0.999)
"""Quantiles between which a number counts as in range."""

Mask = NDArray[np.bool_]


class NumberBins(msgspec.Struct, frozen=True, tag="number"):
    """Bin i holds edges[i-1] <= value < edges[i]; the last bin is what is missing. In range: low <= value <= high."""

    edges: list[float]
    low: float | None
    high: float | None

    @property
    def count(self) -> int:
        return len(self.edges) + 2

    def place(self, values: Floats, is_sent: Mask | None) -> Integers:  # noqa: ARG002 - as for categories
        """(n,) bin numbers of `values`, NaN where missing."""
        placed = np.searchsorted(np.array(self.edges), values, side="right").astype(np.int64)
        placed[np.isnan(values)] = self.count - 1
        return placed

    def is_outside(self, values: Floats) -> Mask:
        """(n,) true where a number lies outside of the range."""
        if self.low is None or self.high is None:
            return ~np.isnan(values)
        outside: Mask = (values < self.low) | (values > self.high)
        return outside


class CategoryBins(msgspec.Struct, frozen=True, tag="category"):
    """One bin per code of `codes`, then: other codes, values that the vocabulary does not have, missing."""

    codes: list[int]

    @property
    def count(self) -> int:
        return len(self.codes) + 3

    def place(self, values: Floats, is_sent: Mask | None) -> Integers:
        """(n,) bin numbers. `values`: codes, NaN where unknown or missing; `is_sent` tells the two apart."""
        other, unknown, missing = range(len(self.codes), len(self.codes) + 3)
        placed = np.full(len(values), other, np.int64)
        for number, code in enumerate(self.codes):
            placed[values == code] = number
        absent = np.isnan(values)
        placed[absent] = missing
        if is_sent is not None:
            placed[absent & is_sent] = unknown
        return placed


Bins = NumberBins | CategoryBins


def number_bins(values: Floats) -> NumberBins:
    """Bins with about equal shares of `values`; fewer where many are equal."""
    known = values[~np.isnan(values)]
    if not len(known):
        return NumberBins([], None, None)
    quantiles = np.unique(np.quantile(known, np.linspace(0, 1, QUANTILE_BINS + 1)[1:-1], method="lower"))
    low, high = np.quantile(known, RANGE, method="nearest").tolist()
    return NumberBins([edge for edge in quantiles.tolist() if edge > known.min()], low, high)


def category_bins(values: Floats) -> CategoryBins:
    """The most frequent codes, the most frequent first."""
    counts = np.bincount(values[~np.isnan(values)].astype(np.int64))
    ranked = np.argsort(-counts, kind="stable")[:CATEGORY_BINS]
    return CategoryBins([int(code) for code in ranked if counts[code]])
