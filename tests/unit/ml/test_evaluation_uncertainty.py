"""Intervals and calibration against hand-made values."""

from __future__ import annotations

import numpy as np
import pytest

from ml.calibration import Sigmoid, fit_sigmoid
from ml.evaluation.bootstrap import bootstrap_intervals, draw_weights
from ml.evaluation.calibration_curve import brier, calibration_curve, log_loss


def test_every_draw_has_as_many_rows_as_the_sample() -> None:
    for weight in draw_weights(50, None, np.random.default_rng(0), rounds=5):
        assert weight.sum() == 50


def test_rows_of_one_card_are_drawn_together_and_rows_without_a_card_alone() -> None:
    groups = np.array([7, 7, 7, 3, -1, -1])

    weights = list(draw_weights(6, groups, np.random.default_rng(0), rounds=40))

    assert all(weight[0] == weight[1] == weight[2] for weight in weights)
    assert any(weight[4] != weight[5] for weight in weights)


def test_interval_of_a_mean_is_near_the_normal_one() -> None:
    sample = np.random.default_rng(1).normal(size=400)
    mean = {"mean": lambda weight: float(np.average(sample, weights=weight))}

    found = bootstrap_intervals(mean, 400, groups=None, rng=np.random.default_rng(2), rounds=500)["mean"]

    assert found.value == pytest.approx(sample.mean())
    assert found.low == pytest.approx(sample.mean() - 1.96 / 20, abs=0.02)
    assert found.high == pytest.approx(sample.mean() + 1.96 / 20, abs=0.02)


def test_brier_and_log_loss_by_hand() -> None:
    y, p = np.array([1.0, 0.0]), np.array([0.8, 0.4])

    assert brier(y, p) == pytest.approx((0.04 + 0.16) / 2)
    assert log_loss(y, p) == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)


def test_certain_and_wrong_is_not_infinite() -> None:
    assert np.isfinite(log_loss(np.array([1.0]), np.array([0.0])))


def test_calibration_curve_has_bins_of_equal_size() -> None:
    curve = calibration_curve(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.3, 0.6, 0.8]), bins=2)

    assert curve.predicted.tolist() == pytest.approx([0.2, 0.7])
    assert curve.observed.tolist() == [0.0, 1.0]
    assert curve.count.tolist() == [2.0, 2.0]


def test_sigmoid_is_recovered_from_its_own_draws() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(-2, 2, 50_000)
    y = (rng.random(50_000) < Sigmoid(0.7, -1.5)(raw)).astype(float)

    fitted = fit_sigmoid(raw, y)

    assert fitted.slope == pytest.approx(0.7, abs=0.05)
    assert fitted.intercept == pytest.approx(-1.5, abs=0.05)


def test_calibration_never_turns_the_ranking_around() -> None:
    raw = np.linspace(-3, 3, 200)
    y = (raw < 0).astype(float)

    fitted = fit_sigmoid(raw, y)

    assert fitted.slope > 0
    assert fitted(raw).mean() == pytest.approx(y.mean(), abs=0.02)


def test_calibration_counts_each_payment_as_often_as_it_stands_for() -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(-1, 2, 5000)
    y = (rng.random(5000) < Sigmoid(1.0, 0.0)(raw)).astype(float)
    weight = np.where(y > 0, 4.0, 1.0)

    fitted = fit_sigmoid(raw, y, weight)

    assert np.average(fitted(raw), weights=weight) == pytest.approx(np.average(y, weights=weight), abs=0.005)
    assert fit_sigmoid(raw, y, np.full(5000, 3.0)).slope == pytest.approx(fit_sigmoid(raw, y).slope, abs=1e-4)


def test_probabilities_stay_inside_zero_and_one() -> None:
    extremes = Sigmoid()(np.array([-1e6, 1e6]))

    assert extremes.min() > 0
    assert extremes.max() < 1
