"""Money: what decisions are worth, and that the chosen thresholds are the best there are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ml.decisions import Thresholds
from ml.evaluation.cost import CostModel, best_thresholds, outcome

COSTS = CostModel(margin=0.1, refusal=20.0, review=2.0, review_misses=0.25, typical_amount=50.0)


def test_each_action_is_worth_what_the_convention_says() -> None:
    y, amount = np.array([0.0, 1.0]), np.array([100.0, 100.0])

    approve, review, decline = COSTS.values(y, amount)

    assert approve.tolist() == [10.0, -100.0]
    assert review.tolist() == [8.0, -27.0]
    assert decline.tolist() == [-20.0, 0.0]


def test_outcome_counts_and_adds_up_by_hand() -> None:
    y = np.array([0.0, 0, 1, 1])
    probability = np.array([0.01, 0.9, 0.02, 0.3])

    result = outcome(y, probability, np.full(4, 100.0), Thresholds(0.1, 0.5), COSTS)

    assert (result.declined, result.reviewed, result.missed_fraud, result.refused_good) == (1, 1, 1, 1)
    assert result.value == pytest.approx(10 - 20 - 100 - 27)
    assert result.approve_all == pytest.approx(10 + 10 - 100 - 100)
    assert result.perfect == pytest.approx(10 + 10)
    assert result.missed_amount == 100.0
    assert result.share_of_perfect == pytest.approx((-137 + 180) / 200)


def test_missing_and_negative_amounts_are_filled() -> None:
    assert COSTS.amounts(np.array([5.0, np.nan, -3.0]), 3).tolist() == [5.0, 50.0, 0.0]
    assert COSTS.amounts(None, 2).tolist() == [50.0, 50.0]


def test_no_other_pair_of_thresholds_is_worth_more() -> None:
    rng = np.random.default_rng(3)
    y = (rng.random(60) < 0.3).astype(float)
    probability = np.round(np.clip(0.3 * y + rng.random(60) * 0.6, 0, 1), 2)
    amount = rng.lognormal(4, 1, 60)

    best = best_thresholds(y, probability, amount, COSTS)

    worth = outcome(y, probability, amount, best, COSTS).value
    cuts = [0.0, *np.unique(probability), 1.0]
    pairs = [Thresholds(float(low), float(high)) for low, high in product(cuts, cuts) if low <= high]
    assert worth >= max(outcome(y, probability, amount, pair, COSTS).value for pair in pairs) - 1e-9


def test_thresholds_stay_in_range_when_nothing_or_everything_is_fraud() -> None:
    probability = np.array([0.1, 0.2, 0.3])

    for y in (np.zeros(3), np.ones(3)):
        found = best_thresholds(y, probability, np.full(3, 100.0), COSTS)
        assert 0 <= found.review <= found.decline <= 1


def test_a_payment_that_stands_for_three_moves_the_thresholds_like_three() -> None:
    rng = np.random.default_rng(4)
    y = (rng.random(80) < 0.3).astype(float)
    probability = np.clip(0.3 * y + rng.random(80) * 0.6, 0, 1)
    amount = rng.lognormal(4, 1, 80)
    times = rng.integers(0, 4, 80)

    repeated = best_thresholds(*(np.repeat(part, times) for part in (y, probability, amount)), COSTS)
    weighted = best_thresholds(y, probability, amount, COSTS, times.astype(float))

    for actions in (lambda found: probability >= found.review, lambda found: probability >= found.decline):
        assert (actions(repeated) == actions(weighted))[times > 0].all()
