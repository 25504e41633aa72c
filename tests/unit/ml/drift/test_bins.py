"""Every value falls into exactly one bin, and what is missing has one of its own."""

from __future__ import annotations

import numpy as np
import pytest

from ml.drift.bins import CategoryBins, NumberBins, category_bins, number_bins

NAN = float("nan")


def test_number_bins_hold_about_equal_shares() -> None:
    values = np.random.default_rng(0).normal(size=10_000)

    bins = number_bins(values)

    counts = np.bincount(bins.place(values, None), minlength=bins.count)
    assert bins.count == 11
    assert counts[-1] == 0
    assert counts[:-1].min() > 900


def test_values_on_an_edge_belong_to_the_bin_above() -> None:
    bins = NumberBins([1.0, 2.0], 0.0, 3.0)

    assert bins.place(np.array([0.5, 1.0, 1.5, 2.0, NAN]), None).tolist() == [0, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("values", "edges"),
    [([5.0] * 100, []), ([0.0] * 95 + [1.0] * 5, []), ([0.0] * 50 + [1.0] * 50, [1.0]), ([NAN] * 10, [])],
    ids=["constant", "rare", "half", "always missing"],
)
def test_few_different_values_make_few_bins(values: list[float], edges: list[float]) -> None:
    assert number_bins(np.array(values)).edges == edges


def test_numbers_beyond_the_training_range_are_outside() -> None:
    bins = number_bins(np.arange(10_000.0))

    assert bins.is_outside(np.array([-1.0, 5000.0, 20_000.0, NAN])).tolist() == [True, False, True, False]


def test_any_number_is_outside_where_training_saw_none() -> None:
    assert number_bins(np.array([NAN])).is_outside(np.array([1.0, NAN])).tolist() == [True, False]


def test_categories_tell_unknown_from_missing() -> None:
    bins = category_bins(np.array([3.0, 3.0, 1.0]))

    placed = bins.place(np.array([3.0, 1.0, 7.0, NAN, NAN]), np.array([True, True, True, True, False]))

    assert bins == CategoryBins([3, 1])
    assert placed.tolist() == [0, 1, 2, 3, 4]
