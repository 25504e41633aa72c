"""The index, and how likely a window is without drift: by hand, and over many windows in which nothing has happened."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml.drift.spread import Spread, measure_spread, stability_index, weigh

SHARES = np.array([0.4, 0.3, 0.2, 0.1])


def test_the_index_is_the_sum_over_bins() -> None:
    index = stability_index(np.array([500, 500]), np.array([250, 750]))

    r, w = 500.5 / 1001, 250.5 / 1001
    assert index == pytest.approx((w - r) * math.log(w / r) + (r - w) * math.log((1 - w) / (1 - r)))
    assert index == pytest.approx(0.274, abs=0.001)


def test_the_index_of_equal_distributions_is_zero_and_an_empty_bin_is_finite() -> None:
    assert stability_index(np.array([10, 20, 30]), np.array([10, 20, 30])) == 0
    assert 0 < stability_index(np.array([100, 0]), np.array([50, 50])) < 10


def blocks(rng: np.random.Generator, number: int, rows: int, *, alike: float) -> np.ndarray:
    """Counts of days whose shares differ: the smaller `alike`, the more each day has its own."""
    return np.array([rng.multinomial(rows, rng.dirichlet(SHARES * alike)) for _ in range(number)])


def test_independent_rows_have_no_correlation_and_days_of_their_own_have_it() -> None:
    rng = np.random.default_rng(1)

    independent = measure_spread(rng.multinomial(1000, SHARES, size=40))
    alike = measure_spread(blocks(rng, 40, 1000, alike=50))

    assert independent.correlation < 0.0005
    assert alike.correlation == pytest.approx(1 / 51, rel=0.4)
    assert alike.rows == 40_000
    assert alike.block_rows == 1000


@pytest.mark.parametrize("alike", [20, 100, 1e9], ids=["days differ much", "days differ", "days are alike"])
def test_p_values_are_small_as_seldom_as_they_say_when_nothing_happened(alike: float) -> None:
    rng = np.random.default_rng(2)
    p_values = np.concatenate(
        [
            [weigh(spread, window, np.array([800])).p_value for window in blocks(rng, 50, 800, alike=alike)]
            for spread in (measure_spread(blocks(rng, 30, 1000, alike=alike)) for _ in range(40))
        ]
    )

    assert np.mean(p_values < 0.05) < 0.08
    assert np.mean(p_values < 0.01) < 0.02
    assert np.mean(p_values < 0.001) < 0.004
    assert np.mean(p_values < 0.5) > 0.3


def test_the_index_by_chance_is_told_beside_the_index() -> None:
    rng = np.random.default_rng(3)
    spread = measure_spread(rng.multinomial(1000, SHARES, size=40))

    found = [weigh(spread, rng.multinomial(500, SHARES), np.array([500])) for _ in range(400)]

    assert np.mean([one.psi for one in found]) == pytest.approx(found[0].expected_psi, rel=0.2)


def test_a_clear_shift_is_beyond_chance() -> None:
    rng = np.random.default_rng(4)
    spread = measure_spread(blocks(rng, 30, 1000, alike=200))

    shifted = weigh(spread, rng.multinomial(1000, SHARES[::-1]), np.array([1000]))

    assert shifted.p_value < 1e-6
    assert shifted.excess > 0.25


def test_without_blocks_to_tell_nothing_is_ever_unusual() -> None:
    spread = measure_spread(np.array([[500, 500], [400, 600]]))

    assert weigh(spread, np.array([10, 990]), np.array([1000])).p_value == 1.0


def test_a_weekday_seen_alone_is_no_drift() -> None:
    """Each day of the reference holds one bin only, as the day of the week does."""
    spread = measure_spread(np.diag(np.full(7, 1000)).repeat(5, axis=0))

    monday = weigh(spread, np.array([1000, 0, 0, 0, 0, 0, 0]), np.array([1000]))

    assert spread.correlation > 0.9
    assert monday.p_value > 0.05
    assert monday.excess < 1.5


def test_a_handful_of_rows_in_a_bin_that_was_empty_decides_nothing() -> None:
    spread = Spread([5000, 4999, 1], 0.0, 2.0, 30, 300.0)

    assert weigh(spread, np.array([500, 498, 2]), np.array([1000])).p_value > 0.01
