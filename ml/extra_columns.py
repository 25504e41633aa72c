"""Model columns that are computed from other columns of X, so that the feature spec stays free of
training's tricks.

First step of the pipeline in every bundle. Each extra column answers to a source column: reasons name the
source.

- a tail column holds the amount where it is above a training quantile, else NaN: histogram boosting puts
the rare
  tail of the amount into one bin of 255 and cannot split it otherwise;
- a rate column holds the smoothed fraud rate of a category with many values, and hides the category itself:
  histogram boosting knows at most 255 categories, and learns noise from far fewer when fraud is rare (ADR
  0006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tail:
    """`X[:, source]` where it is > `above`, else NaN."""

    source: int
    above: float


@dataclass(frozen=True, slots=True)
class Rate:
    """`rates[code]` of the category code in `X[:, source]`; the last entry is for unknown and missing."""

    source: int
    rates: Floats


class ExtraColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """X: (n, p) float64 -> (n, p + tails + rates) float64. Nothing is fitted: all it needs is given."""

    def __init__(self, tails: tuple[Tail, ...] = (), rates: tuple[Rate, ...] = ()) -> None:
        self.tails = tails
        self.rates = rates

    def fit(self, X: Floats, y: Any = None) -> Self:  # noqa: ARG002  # scikit-learn's signature
        """Nothing to learn; here so that a pipeline accepts it."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def sources(self) -> tuple[int, ...]:
        """The source column of each extra column, in their order."""
        return (*(tail.source for tail in self.tails), *(rate.source for rate in self.rates))

    def transform(self, X: Floats) -> Floats:
        """Append the extra columns; a category that has a rate becomes NaN itself."""
        if not self.tails and not self.rates:
            return X
        width = X.shape[1]
        out = np.empty((len(X), width + len(self.tails) + len(self.rates)))
        out[:, :width] = X
        for column, tail in enumerate(self.tails, start=width):
            values = X[:, tail.source]
            out[:, column] = np.where(values > tail.above, values, np.nan)
        for column, rate in enumerate(self.rates, start=width + len(self.tails)):
            out[:, column] = rate_of(X[:, rate.source], rate.rates)
            out[:, rate.source] = np.nan
        return out

    def fold(self, contributions: Floats, width: int) -> Floats:
        """(n, width + extras) -> (n, width): what the extra columns contributed is added to their sources."""
        folded = np.ascontiguousarray(contributions[:, :width])
        for column, source in enumerate(self.sources, start=width):
            folded[:, source] += contributions[:, column]
        return folded


def rate_of(codes: Floats, rates: Floats) -> Floats:
    """(n,) category codes, NaN for unknown -> (n,) rates."""
    unknown = len(rates) - 1
    found: Floats = rates[np.where(np.isnan(codes), unknown, codes).astype(np.int64)]
    return found
