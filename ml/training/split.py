"""Train on the past, judge on the future, and leave out the days whose labels would not have been there yet.

train | gap | validate (model choice, calibration, thresholds) | gap | test (seen once)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from config.errors import ModelRefused
from ml.features.compiled import Floats, Integers

TRAIN_FRAUDS: Final = 20
"""Fewest frauds to learn from."""
WINDOW_FRAUDS: Final = 5
"""Fewest frauds to judge by, in each later window."""
GAP_SHARE: Final = 0.08
"""Most of the time span that one gap may take."""
_EARLIEST_REAL_S: Final = 631_152_000.0  # 1990: smaller numbers are counters or seconds since some start
_SHARES: Final = ((0.6, 0.8), (0.7, 0.85), (0.8, 0.9))


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers (of the frame) per window, each in time order; `gap_s` in the unit of the event time."""

    train: Integers
    validate: Integers
    test: Integers
    gap_s: float
    notes: list[str] = field(default_factory=list)


def is_wall_clock(times: Floats) -> bool:
    """Whether event times look like dates, not like a counter."""
    return len(times) > 0 and float(np.median(times)) >= _EARLIEST_REAL_S


def split_by_time(
    times: Floats, y: Floats, *, label_delay_s: float, source: Literal["event time", "row order"]
) -> Split:
    """Cut labelled rows into three windows in time. `times`: (n,), `y`: (n,) 0, 1 or NaN (left out).

    Cuts are at 60% and 80% of the rows; when a window would hold too few frauds they move to shares of the
    frauds, then the gaps close. Whatever was done is in `notes`.

    Raises:
        ModelRefused: there are too few frauds (or no good payments) for any such cut.
    """
    order = np.argsort(times, kind="stable")
    order = order[~np.isnan(y[order])]
    _refuse_hopeless(y[order])
    gap, notes = _gap(times[order], label_delay_s, source)
    split = _first_usable(order, times, y, gap=gap, notes=notes)
    if split is None and source == "row order":
        shuffled = np.random.default_rng(0).permutation(order)
        said = ["rows are taken in random order: the file has no event time and looks sorted by the label"]
        split = _first_usable(shuffled, np.arange(len(times), dtype=np.float64), y, gap=0.0, notes=said)
    if split is None:
        raise ModelRefused(
            f"the {int(y[order].sum())} frauds lie so in time that no cut leaves {TRAIN_FRAUDS} to train on, then "
            f"{WINDOW_FRAUDS} to choose by and {WINDOW_FRAUDS} to judge by, each beside good payments"
        )
    return split


def _first_usable(order: Integers, times: Floats, y: Floats, *, gap: float, notes: list[str]) -> Split | None:
    for by_fraud in (False, True):
        for shares in _SHARES:
            for width in dict.fromkeys((gap, 0.0)) if by_fraud else (gap,):
                split = _cut(order, times, y, shares=shares, gap=width, by_fraud=by_fraud)
                if _is_usable(split, y):
                    said = _say(notes, shares, by_fraud=by_fraud, closed=width < gap)
                    return Split(split.train, split.validate, split.test, width, said)
    return None


def _refuse_hopeless(y: Floats) -> None:
    frauds = int(y.sum())
    if frauds < TRAIN_FRAUDS + 2 * WINDOW_FRAUDS:
        raise ModelRefused(
            f"the data has {frauds} labelled frauds among {len(y):,} labelled rows; "
            f"at least {TRAIN_FRAUDS + 2 * WINDOW_FRAUDS} are needed"
        )
    if frauds > len(y) - TRAIN_FRAUDS:
        raise ModelRefused(f"{frauds:,} of {len(y):,} labelled rows are fraud: there is nothing good to tell them from")


def _gap(times: Floats, label_delay_s: float, source: str) -> tuple[float, list[str]]:
    if source == "row order":
        return 0.0, ["no event time: rows are taken in file order, without a gap"]
    span = float(times[-1] - times[0])
    if not is_wall_clock(times) and np.all(np.diff(times) == 1):
        return 0.0, ["the event time only counts rows: no gap"]
    widest = GAP_SHARE * span
    if label_delay_s <= widest:
        return label_delay_s, []
    note = f"the data spans {_span(span)}, so the gap is {_span(widest)} instead of the label delay of "
    return widest, [f"{note}{_span(label_delay_s)}: figures are a little kinder than life"]


def _span(seconds: float) -> str:
    return f"{seconds / 86_400:.1f} days" if seconds >= 86_400 else f"{seconds / 3600:.1f} hours"


def _cut(
    order: Integers, times: Floats, y: Floats, *, shares: tuple[float, float], gap: float, by_fraud: bool
) -> Split:
    """Rows up to the first share, then from `gap` after that up to the second share, then from `gap` after
    that.
    """
    ordered = times[order]
    progress = np.cumsum(y[order]) / y[order].sum() if by_fraud else np.arange(1, len(order) + 1) / len(order)
    first, second = (int(np.searchsorted(progress, share)) for share in shares)
    validate_from = max(first, int(np.searchsorted(ordered, ordered[first] + gap))) if gap else first
    second = max(second, validate_from)
    if second >= len(order):
        return Split(order[:first], order[validate_from:], order[:0], gap)
    test_from = max(second, int(np.searchsorted(ordered, ordered[second] + gap))) if gap else second
    return Split(order[:first], order[validate_from:second], order[test_from:], gap)


def _is_usable(split: Split, y: Floats) -> bool:
    frauds = [int(y[rows].sum()) for rows in (split.train, split.validate, split.test)]
    good = [len(rows) - n for rows, n in zip((split.train, split.validate, split.test), frauds, strict=True)]
    return frauds[0] >= TRAIN_FRAUDS and min(frauds[1:]) >= WINDOW_FRAUDS and min(good) >= WINDOW_FRAUDS


def _say(notes: list[str], shares: tuple[float, float], *, by_fraud: bool, closed: bool) -> list[str]:
    said = list(notes)
    if by_fraud or shares != _SHARES[0]:
        unit = "frauds" if by_fraud else "rows"
        said.append(f"cut at {shares[0]:.0%} and {shares[1]:.0%} of the {unit}, so that every window has enough frauds")
    if closed:
        said.append("the gaps were closed, because there are too few frauds to leave any out")
    return said
