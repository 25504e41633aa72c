"""A linear share of a model's score, for data where straight lines rank better than steps (ADR 0006).

The fitted scikit-learn baseline is additive over the columns of X, so it is read off by probing it: one
slope and one value for missing per number, one value per category code. What is left is two array
operations per batch, and each column's contribution is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ml.extra_columns import rate_of
from ml.features.compiled import Floats, Integers

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_CHUNK: Final = 2000


@dataclass(frozen=True, slots=True)
class LinearTerm:
    """An additive score in log-odds: `constant` + one part per column of X.

    `numbers`: columns with a `slope` each; values are kept inside `lowest` to `highest`, what training saw,
    so that no input outweighs everything else; a missing one counts `missing`. `tables`: category column ->
    part per code, the last for unknown and missing ones. `usual`: (p,) mean part over training rows.
    `pipeline`: the scikit-learn original, which `reference` runs.
    """

    pipeline: Pipeline
    constant: float
    numbers: Integers
    slope: Floats
    missing: Floats
    lowest: Floats
    highest: Floats
    tables: Mapping[int, Floats]
    usual: Floats

    def parts(self, X: Floats) -> Floats:
        """(n, p) -> (n, p): what each column adds."""
        parts = np.zeros(X.shape)
        values = X[:, self.numbers]
        kept = np.clip(values, self.lowest, self.highest)
        parts[:, self.numbers] = np.where(np.isnan(values), self.missing, kept * self.slope)
        for column, table in self.tables.items():
            parts[:, column] = rate_of(X[:, column], table)
        return parts

    def scores(self, X: Floats) -> Floats:
        """(n, p) -> (n,) log-odds."""
        total: Floats = self.constant + self.parts(X).sum(axis=1)
        return total

    def contributions(self, X: Floats) -> Floats:
        """(n, p) -> (n, p): each column's part, measured from its mean over training rows."""
        difference: Floats = self.parts(X) - self.usual
        return difference

    def reference(self, X: Floats) -> Floats:
        """`scores` by scikit-learn. A category code that training never saw stays as it is: unknown."""
        kept = X.copy()
        kept[:, self.numbers] = np.clip(X[:, self.numbers], self.lowest, self.highest)
        scores: Floats = self.pipeline.decision_function(kept)
        return scores


def read_linear(pipeline: Pipeline, X: Floats, categories: Mapping[int, int]) -> LinearTerm:
    """Probe a fitted additive pipeline. `X`: (n, p) training rows; `categories`: column -> how many codes."""
    numbers = np.array([c for c in range(X.shape[1]) if c not in categories], dtype=np.int64)
    lowest, highest = _ranges(X[:, numbers])
    base = np.full((1, X.shape[1]), np.nan)
    base[0, numbers] = lowest
    origin = float(pipeline.decision_function(base)[0])
    slope, missing = np.zeros(len(numbers)), np.zeros(len(numbers))
    for place, column in enumerate(numbers):
        probes = np.repeat(base, 2, axis=0)
        probes[:, column] = highest[place], np.nan
        at_highest, when_missing = (float(score) - origin for score in pipeline.decision_function(probes))
        width = highest[place] - lowest[place]
        slope[place] = at_highest / width if width > 0 else 0.0
        missing[place] = when_missing + slope[place] * lowest[place]
    tables = {column: _probe_codes(pipeline, base, column, n) - origin for column, n in categories.items()}
    constant = origin - float(slope @ lowest)
    term = LinearTerm(pipeline, constant, numbers, slope, missing, lowest, highest, tables, np.zeros(X.shape[1]))
    return LinearTerm(pipeline, constant, numbers, slope, missing, lowest, highest, tables, term.parts(X).mean(axis=0))


def _ranges(values: Floats) -> tuple[Floats, Floats]:
    """Least and greatest value per column; 0 and 0 where there is none."""
    seen = ~np.isnan(values).all(axis=0)
    lowest, highest = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    lowest[seen], highest[seen] = np.nanmin(values[:, seen], axis=0), np.nanmax(values[:, seen], axis=0)
    return lowest, highest


def _probe_codes(pipeline: Pipeline, base: Floats, column: int, n_codes: int) -> Floats:
    codes = np.append(np.arange(n_codes, dtype=np.float64), np.nan)
    scores = []
    for start in range(0, len(codes), _CHUNK):
        probes = np.repeat(base, len(codes[start : start + _CHUNK]), axis=0)
        probes[:, column] = codes[start : start + _CHUNK]
        scores.append(pipeline.decision_function(probes))
    return np.concatenate(scores)
