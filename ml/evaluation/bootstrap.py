"""How sure a figure is: percentile bootstrap over cards, or over rows where there are no cards.

Transactions of one card are not independent: resampling whole cards keeps the intervals honest (cluster
bootstrap, Field and Welsh 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ml.features.compiled import Floats, Integers

Measure = Callable[[Floats], float]
"""weight -> figure; `weight`: (n,) how often each row was drawn."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the bounds between which it lies with probability `level`."""

    value: float
    low: float
    high: float
    level: float = 0.95


def bootstrap_intervals(
    measures: Mapping[str, Measure],
    n: int,
    *,
    groups: Integers | None,
    rng: np.random.Generator,
    rounds: int = 200,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Every measure on the sample, with its percentile interval, all on the same draws.

    `groups`: (n,) card codes (-1: a row on its own), None when rows are independent. A difference of two
    models is a measure like any other, so that models are compared on equal draws.
    """
    values = {name: measure(np.ones(n)) for name, measure in measures.items()}
    draws: dict[str, list[float]] = {name: [] for name in measures}
    for weight in draw_weights(n, groups, rng, rounds):
        for name, measure in measures.items():
            draws[name].append(measure(weight))
    return {name: Interval(values[name], *_percentiles(draws[name], level), level) for name in measures}


def standing_for(measure: Measure, each: Floats | None) -> Measure:
    """The measure on rows that stand for `each` (n,) transactions; None: one each."""
    return measure if each is None else lambda weight: measure(weight * each)


def draw_weights(n: int, groups: Integers | None, rng: np.random.Generator, rounds: int) -> Iterator[Floats]:
    """`rounds` resamples of n rows: (n,) float64, how often each row was drawn."""
    members = np.arange(n) if groups is None else _without_gaps(groups)
    size = int(members.max()) + 1
    for _ in range(rounds):
        drawn = np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float64)
        yield drawn[members]


def _without_gaps(groups: Integers) -> Integers:
    """Codes 0..m-1; every -1 becomes a group of its own."""
    alone = groups < 0
    unique = groups.copy()
    unique[alone] = groups.max() + 1 + np.arange(alone.sum())
    codes: Integers = np.unique(unique, return_inverse=True)[1].astype(np.int64)
    return codes


def _percentiles(draws: list[float], level: float) -> tuple[float, float]:
    known = [draw for draw in draws if not np.isnan(draw)]
    if not known:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
