"""The label delay: learned without the bias of labels that have not arrived yet."""

from __future__ import annotations

import numpy as np
import pytest

from ml.quality.delay import LEAST_LABELS, learn_arrivals

DAY_S = 86_400.0


def arrived(
    rng: np.random.Generator, *, frauds: int, days: float, mean_delay_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Frauds of the last `days` before 0 whose label is there at 0; delays are exponential."""
    happened = rng.uniform(-days * DAY_S, 0, frauds)
    known = happened + rng.exponential(mean_delay_s, frauds)
    return happened[known <= 0], known[known <= 0]


def test_the_learned_delay_is_that_of_all_labels_not_of_those_that_hurried() -> None:
    rng = np.random.default_rng(1)
    happened, known = arrived(rng, frauds=4000, days=40, mean_delay_s=5 * DAY_S)
    truth = 5 * DAY_S * np.log(20)

    curve = learn_arrivals(happened, known, now_s=0.0, fallback_s=1.0)
    naive = float(np.quantile(known - happened, 0.95))

    assert curve.delay.is_learned
    assert curve.delay.delay_s == pytest.approx(truth, rel=0.15)
    assert naive < 0.9 * truth
    assert abs(curve.delay.delay_s - truth) < abs(naive - truth)


def test_the_share_that_has_arrived_is_that_of_the_true_distribution() -> None:
    happened, known = arrived(np.random.default_rng(2), frauds=6000, days=60, mean_delay_s=4 * DAY_S)
    ages = np.array([1.0, 2.0, 4.0, 8.0]) * DAY_S

    shares = learn_arrivals(happened, known, now_s=0.0, fallback_s=1.0).share_at(ages)

    np.testing.assert_allclose(shares, 1 - np.exp(-ages / (4 * DAY_S)), atol=0.04)


def test_too_few_labels_leave_the_setting_in_place() -> None:
    times = np.arange(LEAST_LABELS - 1.0)

    delay = learn_arrivals(times, times + 5, now_s=1000.0, fallback_s=777.0).delay

    assert (delay.delay_s, delay.is_learned, delay.labels) == (777.0, False, LEAST_LABELS - 1)


def test_no_label_at_all_leaves_the_setting_in_place() -> None:
    curve = learn_arrivals(np.empty(0), np.empty(0), now_s=0.0, fallback_s=100.0)

    assert (curve.delay.delay_s, curve.delay.labels) == (100.0, 0)
    np.testing.assert_allclose(curve.share_at(np.array([-1.0, 50.0, 200.0])), [0.0, 0.5, 1.0])


def test_a_delay_that_is_always_the_same_is_found_exactly() -> None:
    happened = np.arange(300.0)

    curve = learn_arrivals(happened, happened + 60, now_s=10_000.0, fallback_s=1.0)

    assert curve.delay.delay_s == 60.0
    np.testing.assert_allclose(curve.share_at(np.array([59.0, 60.0, 61.0])), [0.0, 1.0, 1.0])


def test_a_label_that_is_known_before_its_payment_counts_as_no_delay_and_one_of_tomorrow_not_at_all() -> None:
    happened = np.zeros(200)
    known = np.concatenate([np.full(150, -3.0), np.full(50, 5_000.0)])

    delay = learn_arrivals(happened, known, now_s=100.0, fallback_s=1.0).delay

    assert (delay.delay_s, delay.labels) == (0.0, 150)
