"""From decisions to sums by score: bins as the plain ones, weights, unknown declines, each payment by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ml.advisor.counting import bins_of, count_scores, decide_each
from ml.advisor.scores import LAST, edge
from ml.evaluation.cost import CostModel
from ml.quality.cases import make_cases
from ml.quality.cells import JudgedDecision

COSTS = CostModel(review=2.0, refusal=20.0, margin=0.0, review_misses=0.0)


def decision(probability: float, action: str = "approve", *, is_fraud: bool | None = None, **changes: Any) -> Any:
    return JudgedDecision(0.0, probability, action, **({"amount": 100.0} | changes), is_fraud=is_fraud, **REST)


REST: dict[str, Any] = {"model_version": "m1", "segment": None, "account": None}


def test_every_probability_lies_in_one_bin_and_every_edge_in_the_one_that_begins_there() -> None:
    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.random(500), rng.random(100) / 1e4, [0.0]])
    edges = list(range(-LAST + 1, LAST))

    found = bins_of(scores).tolist()

    assert all(edge(place) <= score < edge(place + 1) for place, score in zip(found, scores.tolist(), strict=True))
    assert bins_of(np.array([edge(place) for place in edges])).tolist() == edges
    assert bins_of(np.array([1.0])).tolist() == [LAST - 1]


def test_nothing_is_lost_but_what_a_list_decided() -> None:
    decisions = [decision(0.1 * n, is_fraud=n % 2 == 0) for n in range(10)]
    listed = decision(0.5, "decline", is_listed=True)

    (day,) = count_scores("2026-03-01", make_cases([*decisions, listed]), COSTS)

    assert sum(one.decisions for one in day.sums) == 10
    assert sum(one.fraud for one in day.sums) == 5
    assert sum(one.good_amount for one in day.sums) == 500
    assert sum(one.unknown for one in day.sums) == 0


def test_a_labelled_decline_is_known_and_an_unlabelled_one_counts_by_its_score() -> None:
    (day,) = count_scores(
        "d", make_cases([decision(0.75, "decline"), decision(0.75, "decline", is_fraud=False)]), COSTS
    )

    (sums,) = day.sums
    assert (sums.good, sums.fraud) == pytest.approx((1.25, 0.75))
    assert (sums.unknown, sums.unknown_fraud, sums.unknown_fraud_amount) == pytest.approx((1.0, 0.75, 75.0))
    assert sums.assuming(0.0).fraud == 0.0
    assert sums.assuming(1.0).good == pytest.approx(1.0)


def test_each_payment_gets_the_action_of_least_expected_cost() -> None:
    decisions = [
        decision(0.01, amount=50.0, is_fraud=True),  # 0.50 to lose: approved, and lost
        decision(0.01, amount=500.0),  # 5 to lose, 2 for a review
        decision(0.95, amount=100.0, is_fraud=True),  # a refusal costs 1
    ]

    (each,) = decide_each("d", make_cases(decisions), COSTS)

    assert (each.alerts, each.reviews) == (2, 1)
    assert each.value == pytest.approx(-50.0 - 2.0 - 0.0)
