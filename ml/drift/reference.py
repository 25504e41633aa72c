"""What a model's transactions looked like: bins and counts per column and of the score, kept in its bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from config.errors import BundleRefused
from ml.bundle_files import read_files, read_manifest
from ml.drift.bins import Bins, CategoryBins, Mask, NumberBins, category_bins, number_bins
from ml.drift.spread import FEWEST_BLOCKS, Spread, measure_spread
from ml.features.compiled import Floats, Integers

FILE: Final = "reference.json"
VERSION: Final = 1
CHUNKS: Final = 20
SCORE: Final = "score"


class ColumnReference(msgspec.Struct, frozen=True):
    """One column: its bins, how they were filled, and the shares that data quality looks at.

    `missing`, `unknown` (categories), `outside` (numbers): two bins each, what is not and what is. `importance`: share
    of all that moved scores, 0 to 1.
    """

    name: str
    bins: Bins
    spread: Spread
    missing: Spread
    unknown: Spread | None
    outside: Spread | None
    importance: float


class Reference(msgspec.Struct, frozen=True):
    """The reference of one bundle. `by_day`: blocks were days; else the data has no real clock and they are chunks."""

    version: int
    rows: int
    by_day: bool
    columns: list[ColumnReference]
    score: ColumnReference


def make_reference(
    X: Floats,
    score: Floats,
    *,
    names: Sequence[str],
    days: Integers | None,
    sent: Mapping[int, Mask],
    importances: Mapping[str, float],
) -> Reference:
    """`X`: (n, p) float64, newest rows of the training data, in time order. `score`: (n,) 0..1, of a model that was not
    fitted on them. `days`: (n,) day numbers, None without a clock. `sent`: category column -> (n,) whether a value was
    sent at all.
    """
    blocks, by_day = _blocks(days, len(X))
    total = sum(importances.values()) or 1.0
    columns = [
        _column(name, X[:, place], sent.get(place), blocks, importance=importances.get(name, 0.0) / total)
        for place, name in enumerate(names)
    ]
    return Reference(VERSION, len(X), by_day, columns, _column(SCORE, score, None, blocks, importance=1.0))


def encode(reference: Reference) -> bytes:
    """As the bundle keeps it."""
    return msgspec.json.encode(reference)


def load_reference(directory: Path, digest: str) -> Reference | None:
    """The reference of a bundle; None when it was trained before there were any.

    Raises BundleRefused: the bundle is gone or was changed.
    """
    manifest, _ = read_manifest(directory, digest)
    if FILE not in manifest["files"]:
        return None
    content = read_files(directory, manifest, (FILE,))[FILE]
    try:
        reference = msgspec.json.decode(content, type=Reference)
    except msgspec.MsgspecError as error:
        raise BundleRefused(f"{directory / FILE} cannot be read by this version: {error}") from error
    return reference if reference.version == VERSION else None


def tabulate(placed: Integers, bins: int, blocks: Integers) -> Integers:
    """(blocks, bins) row counts. `placed`, `blocks`: (n,) bin and block number of each row."""
    rows = int(blocks.max(initial=-1)) + 1
    counted: Integers = np.bincount(blocks * bins + placed, minlength=rows * bins).reshape(rows, bins)
    return counted


def number_days(days: Integers) -> Integers:
    """(n,) day numbers as 0, 1, 2 .. in the order of time."""
    numbered: Integers = np.unique(days, return_inverse=True)[1].astype(np.int64)
    return numbered


def _blocks(days: Integers | None, n: int) -> tuple[Integers, bool]:
    if days is not None:
        numbered = number_days(days)
        if numbered.max(initial=0) + 1 >= FEWEST_BLOCKS:
            return numbered, True
    return np.arange(n, dtype=np.int64) * CHUNKS // max(n, 1), False


def _column(name: str, values: Floats, is_sent: Mask | None, blocks: Integers, *, importance: float) -> ColumnReference:
    bins: Bins = number_bins(values) if is_sent is None else category_bins(values)
    is_missing = np.isnan(values) if is_sent is None else ~is_sent
    unknown = outside = None
    if isinstance(bins, CategoryBins) and is_sent is not None:
        unknown = _spread_of(np.isnan(values) & is_sent, blocks)
    if isinstance(bins, NumberBins):
        outside = _spread_of(bins.is_outside(values), blocks)
    spread = measure_spread(tabulate(bins.place(values, is_sent), bins.count, blocks))
    return ColumnReference(name, bins, spread, _spread_of(is_missing, blocks), unknown, outside, importance)


def _spread_of(flagged: Mask, blocks: Integers) -> Spread:
    return measure_spread(tabulate(flagged.astype(np.int64), 2, blocks))
