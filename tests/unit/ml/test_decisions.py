"""Probabilities become actions, scores and levels that agree with each other, and reasons that can be read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.bundle import Bundle
from ml.decisions import Thresholds, decide, explain
from ml.model_columns import ModelColumn

THRESHOLDS = Thresholds(review=0.02, decline=0.4)
COLUMNS = (
    ModelColumn("amount", "EUR", 40.0),
    ModelColumn("category", None, float("nan"), {0: "online", 1: "grocery"}),
    ModelColumn("account_count_24h", None, 2.0),
)
BUNDLE = cast("Bundle", SimpleNamespace(columns=COLUMNS))


@pytest.mark.parametrize(
    ("probability", "action", "level", "score"),
    [
        (0.0, "approve", "low", 0),
        (0.01, "approve", "medium", 30),
        (0.0199999, "approve", "medium", 59),
        (0.02, "review", "high", 60),
        (0.3999999, "review", "high", 84),
        (0.4, "decline", "critical", 85),
        (1.0, "decline", "critical", 100),
    ],
)
def test_action_level_and_score_follow_the_thresholds(probability: float, action: str, level: str, score: int) -> None:
    verdict = decide(probability, THRESHOLDS)

    assert (verdict.action, verdict.risk_level, verdict.risk_score) == (action, level, score)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_risk_score_never_falls_when_the_probability_rises(
    probabilities: list[float], one: float, other: float
) -> None:
    thresholds = Thresholds(min(one, other), max(one, other))

    verdicts = [decide(probability, thresholds) for probability in sorted(probabilities)]

    scores = [verdict.risk_score for verdict in verdicts]
    assert scores == sorted(scores)
    assert all(0 <= score <= 100 for score in scores)
    assert all(verdict.is_fraud == (verdict.action == "decline") for verdict in verdicts)


@pytest.mark.parametrize(("review", "decline"), [(0.5, 0.4), (-0.1, 0.5), (0.1, 1.5), (float("nan"), 0.5)])
def test_thresholds_out_of_order_or_range_are_refused(review: float, decline: float) -> None:
    with pytest.raises(ValueError, match="review <= decline"):
        Thresholds(review, decline)


def reasons_for(row: list[float], contributions: list[float], limit: int = 5) -> list[Any]:
    return explain(BUNDLE, np.array(row), np.array(contributions), limit)


def test_reasons_come_strongest_first_and_leave_out_what_moved_nothing() -> None:
    reasons = reasons_for([1500.0, 0.0, 2.0], [0.5, -2.0, 0.0])

    assert [reason.feature for reason in reasons] == ["category", "amount"]
    assert [reason.direction for reason in reasons] == ["lowers", "raises"]
    assert [reason.impact for reason in reasons] == [-2.0, 0.5]


def test_no_more_reasons_than_asked_for() -> None:
    assert len(reasons_for([1500.0, 0.0, 2.0], [0.5, -2.0, 1.0], limit=1)) == 1


@pytest.mark.parametrize(
    ("row", "code", "message"),
    [
        ([1500.0, 0, 0], "AMOUNT_HIGH", "amount is 1,500 EUR, above the usual 40 EUR"),
        ([0.5, 0, 0], "AMOUNT_LOW", "amount is 0.5 EUR, below the usual 40 EUR"),
        ([40.0, 0, 0], "AMOUNT_VALUE", "amount is 40 EUR"),
        ([float("nan"), 0, 0], "AMOUNT_MISSING", "amount is missing"),
    ],
)
def test_a_number_is_told_with_its_unit_beside_the_usual_value(row: list[float], code: str, message: str) -> None:
    (reason,) = reasons_for(row, [1.0, 0.0, 0.0])

    assert (reason.code, reason.message) == (code, message)


def test_a_category_is_told_by_its_name_and_an_unknown_one_as_unseen() -> None:
    (known,) = reasons_for([0, 1.0, 0], [0.0, 1.0, 0.0])
    (unknown,) = reasons_for([0, float("nan"), 0], [0.0, 1.0, 0.0])

    assert (known.code, known.message) == ("CATEGORY_VALUE", "category is grocery")
    assert unknown.code == "CATEGORY_MISSING"
    assert "never seen in training" in unknown.message
