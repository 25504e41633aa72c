"""Ratios with their intervals: Wilson by hand, and how often the intervals contain the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ml.quality.ratio import Figure, Ratio, counted, effective_size, mean, share, wilson


def clustered(parts: np.ndarray, wholes: np.ndarray) -> Ratio:
    """The ratio of two arrays with one entry per cluster."""
    return Ratio(
        float(parts.sum()),
        float(wholes.sum()),
        float((parts**2).sum()),
        float((parts * wholes).sum()),
        float((wholes**2).sum()),
        int(wholes.sum()),
    )


def test_plain_counts_give_wilsons_interval() -> None:
    # Newcombe (1998), table I: 81 of 263 is 0.3080, Wilson without correction 0.2553 to 0.3662.
    figure = share(counted(81, 263))

    assert figure is not None
    assert (round(figure.value, 4), round(figure.low, 4), round(figure.high, 4)) == (0.3080, 0.2553, 0.3662)


def test_none_of_ten_leaves_room_above() -> None:
    # Newcombe (1998): 0 of 20 is 0.0000 to 0.1611.
    assert tuple(round(bound, 4) for bound in wilson(0.0, 20.0)) == (0.0, 0.1611)


def test_nothing_to_divide_by_is_no_figure() -> None:
    assert share(Ratio()) is None
    assert mean(Ratio()) is None


def test_frauds_of_one_account_are_one_piece_of_evidence() -> None:
    alone = share(counted(6, 12))
    together = share(clustered(np.array([3.0, 3.0, 0.0, 0.0]), np.array([3.0] * 4)))

    assert alone is not None
    assert together is not None
    assert together.value == alone.value
    assert together.high - together.low > 1.3 * (alone.high - alone.low)
    assert effective_size(clustered(np.array([3.0, 3.0, 0.0, 0.0]), np.array([3.0] * 4))) == pytest.approx(4)


def test_one_account_alone_is_as_sure_as_one_decision() -> None:
    assert effective_size(clustered(np.array([5.0]), np.array([8.0]))) == 1.0


def test_ratios_of_two_days_add_up_to_the_ratio_of_both() -> None:
    first, second = counted(3, 10), counted(4, 5)

    assert first + second == counted(7, 15)


def test_a_mean_of_money_has_a_normal_interval() -> None:
    # -1, 0, 1, 2: mean 0.5, squared deviations sum to 5, standard error sqrt(5) / 4.
    figure = mean(clustered(np.array([-1.0, 0.0, 1.0, 2.0]), np.ones(4)))

    assert figure == Figure(
        0.5, pytest.approx(0.5 - 1.96 * 0.559, abs=1e-3), pytest.approx(0.5 + 1.96 * 0.559, abs=1e-3)
    )


@given(st.integers(0, 400), st.integers(1, 400))
@example(part=0, extra=7)
def test_intervals_hold_their_value_and_stay_between_0_and_1(part: int, extra: int) -> None:
    figure = share(counted(part, part + extra))

    assert figure is not None
    assert 0 <= figure.low <= figure.value <= figure.high <= 1


@settings(max_examples=12, deadline=None)
@given(truth=st.floats(0.1, 0.9), seed=st.integers(0, 2**32 - 1))
def test_intervals_of_95_percent_contain_the_truth_though_frauds_come_in_clusters(truth: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rounds, hits = 300, 0
    for _ in range(rounds):
        sizes = rng.integers(1, 6, 150)
        # Half of the accounts are all one way or the other: whole cards are caught or missed.
        alike = rng.random(150) < 0.5
        caught = np.where(alike, sizes * (rng.random(150) < truth), rng.binomial(sizes, truth)).astype(float)
        figure = share(clustered(caught, sizes.astype(float)))
        hits += figure is not None and figure.low <= truth <= figure.high

    assert 0.89 <= hits / rounds < 0.99  # 300 rounds: a standard deviation is 0.013
