"""Ranking measures against hand-made values and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from ml.evaluation.ranking import CardPrecision, Ranked, card_precision_at_k, precision_at_k


def labelled(n: int = 500, seed: int = 0, ties: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.1).astype(float)
    score = rng.normal(size=n) + y
    return y, np.round(score, 1) if ties else score, rng.integers(0, 4, n).astype(float)


@pytest.mark.parametrize("ties", [True, False])
def test_ranking_measures_equal_scikit_learn_with_and_without_weights(ties: bool) -> None:
    y, score, weight = labelled(ties=ties)
    ranked = Ranked(y, score)

    assert ranked.roc_auc() == pytest.approx(roc_auc_score(y, score))
    assert ranked.average_precision() == pytest.approx(average_precision_score(y, score))
    assert ranked.roc_auc(weight) == pytest.approx(roc_auc_score(y, score, sample_weight=weight))
    assert ranked.average_precision(weight) == pytest.approx(average_precision_score(y, score, sample_weight=weight))


def test_one_class_has_no_ranking() -> None:
    assert math.isnan(Ranked(np.zeros(3), np.arange(3.0)).roc_auc())
    assert math.isnan(Ranked(np.zeros(3), np.arange(3.0)).average_precision())


def test_curves_run_from_the_highest_score_to_everything_and_lie_on_those_of_scikit_learn() -> None:
    y, score, _ = labelled()

    curve = Ranked(y, score).curve(points=40)

    assert curve is not None
    assert len(curve.recall) <= 40
    assert (curve.recall[-1], curve.false_positive_rate[-1]) == (1.0, 1.0)
    assert curve.precision[-1] == pytest.approx(y.mean())
    precision, recall, _ = precision_recall_curve(y, score)
    known = {(round(one, 9), round(other, 9)) for one, other in zip(recall, precision, strict=True)}
    assert {(round(one, 9), round(other, 9)) for one, other in zip(curve.recall, curve.precision, strict=True)} <= known
    assert np.all(np.diff(curve.recall) >= 0)
    assert np.all(np.diff(curve.false_positive_rate) >= 0)


def test_one_class_has_no_curve() -> None:
    assert Ranked(np.zeros(3), np.arange(3.0)).curve() is None


def test_precision_at_k_is_the_mean_over_days() -> None:
    y = np.array([1.0, 0, 0, 1, 1, 0])
    score = np.array([9.0, 8, 7, 9, 8, 7])
    days = np.array([0, 0, 0, 5, 5, 5])

    assert precision_at_k(y, score, days, 2) == pytest.approx((1 / 2 + 2 / 2) / 2)


def test_a_day_with_fewer_rows_than_k_still_divides_by_k() -> None:
    assert precision_at_k(np.array([1.0]), np.array([1.0]), np.array([0]), 4) == 0.25


def test_a_card_counts_once_by_its_highest_transaction() -> None:
    # Card 1 has three alerts, card 2 one: two cards, one of them compromised.
    y = np.array([1.0, 1, 1, 0])
    cards = np.array([1, 1, 1, 2])

    found = card_precision_at_k(y, np.array([9.0, 8, 7, 6]), np.zeros(4, dtype=int), cards, 2)

    assert found == CardPrecision(mean=0.5, ceiling=0.5, days=1)


def test_a_detected_card_leaves_the_following_days() -> None:
    # Day 0 finds card 1. On day 1 it would fill a slot again: without it, card 2 is what is left to find.
    y = np.array([1.0, 0, 1, 1])
    score = np.array([9.0, 1, 9, 5])
    cards = np.array([1, 3, 1, 2])
    days = np.array([0, 0, 1, 1])

    found = card_precision_at_k(y, score, days, cards, 1)

    assert found == CardPrecision(mean=1.0, ceiling=1.0, days=2)


def test_cards_known_before_the_first_day_do_not_count() -> None:
    y, cards = np.array([1.0, 1]), np.array([1, 2])

    found = card_precision_at_k(y, np.array([9.0, 8]), np.array([0, 0]), cards, 1, known=frozenset({1}))

    assert found.mean == 1.0
    assert card_precision_at_k(y, np.array([9.0, 8]), np.array([0, 0]), cards, 2, frozenset({1})).mean == 0.5
