"""The measures of a day, by hand: ten payments, every figure counted on the fingers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from ml.quality.cases import make_cases
from ml.quality.cells import Cell, JudgedDecision
from ml.quality.delay import ArrivalCurve
from ml.quality.measure import MOST_VALUES, OTHERS, Judging, cells_of_day
from ml.quality.ratio import Ratio

DAY = "2026-03-01"
NOW_S = 1_000_000.0
ALL_THERE = ArrivalCurve(np.array([10.0]), np.array([1.0]), 1000, 1.0)


def nobody(_accounts: Sequence[str]) -> set[str]:
    return set()


JUDGING = Judging(arrivals=ALL_THERE, now_s=NOW_S, k=3, known_frauds=nobody)


def decision(score: float, action: str, is_fraud: bool | None, **changes: Any) -> JudgedDecision:
    """A decision of 100 money, on account `a` and segment `online`, by model m1, long ago."""
    given = JudgedDecision(NOW_S - 5_000, score, action, 100.0, "m1", "online", "a", is_fraud)
    return given._replace(**changes)


TEN = [
    decision(0.99, "decline", True, account="a", amount=300.0),
    decision(0.95, "decline", True, account="a"),
    decision(0.90, "decline", False, account="b"),
    decision(0.60, "review", True, account="c"),
    decision(0.55, "review", None, account="d"),
    decision(0.20, "approve", True, account="e", amount=500.0, segment="travel"),
    decision(0.15, "approve", False, account="f", segment="travel"),
    decision(0.10, "approve", None, account="g"),
    decision(0.05, "approve", None, account="h"),
    decision(0.01, "approve", None, account="i", model_version="m2"),
]


def cells(decisions: Sequence[JudgedDecision], judging: Judging = JUDGING) -> dict[tuple[str, str], Cell]:
    return {(cell.dimension, cell.value): cell for cell in cells_of_day(DAY, make_cases(decisions), judging)}


def fraction(ratio: Ratio) -> tuple[float, float]:
    return ratio.part, ratio.whole


def test_each_measure_counts_what_its_definition_says() -> None:
    measures = cells(TEN)["all", ""].measures

    assert fraction(measures["accuracy"]) == (7, 10)  # wrong: two good ones alerted, one fraud approved
    assert fraction(measures["precision"]) == (3, 5)
    assert fraction(measures["recall"]) == (3, 4)
    assert fraction(measures["decline_precision"]) == (2, 3)
    assert fraction(measures["decline_recall"]) == (2, 4)
    assert fraction(measures["false_positive_rate"]) == (2, 6)
    assert fraction(measures["alert_rate"]) == (5, 10)
    assert fraction(measures["fraud_rate"]) == (4, 10)
    assert fraction(measures["value_detected"]) == (500, 1000)
    assert fraction(measures["precision_at_k"]) == (2, 3)
    assert fraction(measures["card_precision_at_k"]) == (2, 3)  # accounts a, b, c


def test_where_genuine_payments_are_labelled_too_silence_says_nothing() -> None:
    explicit = replace(JUDGING, label_policy="explicit")
    (cell, *_) = cells_of_day(DAY, make_cases(TEN, "explicit"), explicit)

    assert fraction(cell.measures["precision"]) == (3, 4)  # the review of `d` has no label
    assert fraction(cell.measures["false_positive_rate"]) == (1, 2)
    assert fraction(cell.measures["fraud_rate"]) == (4, 6)
    assert fraction(cell.measures["alert_rate"]) == (5, 10)
    assert cell.estimates is None


def test_the_cost_is_that_of_the_cost_model() -> None:
    # Fraud approved loses 500; fraud reviewed 2.5 and a tenth of 100; a good decline 20; a good review 2.5 less 2% of
    # 100; four good approvals earn 2 each.
    cost = cells(TEN)["all", ""].measures["cost"]

    assert fraction(cost) == (pytest.approx(500 + 12.5 + 20 + 0.5 - 8), 10)


def test_counts_tell_labels_from_silence() -> None:
    cell = cells(TEN)["all", ""]

    assert (cell.decisions, cell.labelled, cell.frauds, cell.fraud_amount, cell.explored) == (10, 6, 4, 1000.0, 0)


def test_payments_of_one_account_are_one_cluster() -> None:
    recall = cells(TEN)["all", ""].measures["recall"]

    assert (recall.part_2, recall.cross, recall.whole_2) == (4 + 1, 4 + 1, 4 + 1 + 1)


def test_every_model_version_and_segment_has_a_cell() -> None:
    found = cells(TEN)

    assert sorted(found) == [
        ("all", ""), ("model_version", "m1"), ("model_version", "m2"), ("segment", "online"), ("segment", "travel"),
    ]  # fmt: skip
    assert found["segment", "travel"].frauds == 1
    assert "precision_at_k" not in found["segment", "travel"].measures


def test_rare_segments_share_a_cell_and_payments_without_one_have_none() -> None:
    many = [decision(0.1, "approve", None, segment=f"s{n}") for n in range(MOST_VALUES) for _ in range(2)]
    rare = [decision(0.1, "approve", None, segment=name) for name in ("x", "y", "z")]

    found = cells([*many, *rare, decision(0.1, "approve", None, segment=None)])

    segments = {value: cell.decisions for (dimension, value), cell in found.items() if dimension == "segment"}
    assert segments.pop(OTHERS) == 3
    assert segments == {f"s{n}": 2 for n in range(MOST_VALUES)}


def test_accounts_known_for_fraud_give_their_place_to_the_next() -> None:
    judging = replace(JUDGING, known_frauds=lambda accounts: {"a"} & set(accounts))

    measures = cells(TEN, judging)["all", ""].measures

    assert fraction(measures["card_precision_at_k"]) == (1, 3)  # accounts b, c, d


def test_a_day_without_accounts_has_no_card_precision() -> None:
    measures = cells([one._replace(account=None) for one in TEN])["all", ""].measures

    assert "card_precision_at_k" not in measures
    assert measures["recall"].whole_2 == 4


def test_fewer_payments_than_slots_still_divide_by_the_slots() -> None:
    measures = cells(TEN[:1])["all", ""].measures

    assert fraction(measures["precision_at_k"]) == (1, 3)


def test_a_payment_without_an_amount_counts_with_the_typical_one() -> None:
    cell = cells([decision(0.9, "decline", True, amount=None)])["all", ""]

    assert cell.fraud_amount == 100.0


def test_known_frauds_stand_for_those_whose_label_is_on_its_way() -> None:
    half_there = ArrivalCurve(np.array([1_000.0, 9_000.0]), np.array([0.5, 1.0]), 1000, 1.0)

    cell = cells(TEN, replace(JUDGING, arrivals=half_there))["all", ""]

    assert cell.estimates is not None
    assert fraction(cell.estimates["fraud_rate"]) == (8, 10)
    assert fraction(cell.estimates["precision"]) == (6, 5)  # more than all: the share is cut at 1 when it is shown
    assert fraction(cell.estimates["recall"]) == (6, 8)
    assert fraction(cell.estimates["alert_rate"]) == (5, 10)
    assert fraction(cell.measures["fraud_rate"]) == (4, 10)


def test_a_payment_of_just_now_is_too_early_to_estimate_from() -> None:
    late = ArrivalCurve(np.array([6_000.0, 9_000.0]), np.array([0.5, 1.0]), 1000, 1.0)

    assert cells(TEN, replace(JUDGING, arrivals=late))["all", ""].estimates is None


def test_declines_let_through_stand_for_those_that_were_not() -> None:
    explored = [decision(0.9, "approve", True, propensity=0.1), decision(0.9, "approve", False, propensity=0.1)]
    hidden = [decision(0.9, "decline", None, propensity=0.9, account=f"h{n}") for n in range(18)]
    usual = [decision(0.1, "approve", None, account=f"u{n}") for n in range(80)]

    cell = cells([*explored, *hidden, *usual])["all", ""]

    assert cell.explored == 2
    assert fraction(cell.measures["decline_precision"]) == (10, 20)
    assert fraction(cell.measures["fraud_rate"]) == (10, 100)
    assert fraction(cell.measures["alert_rate"]) == (20, 100)


def test_weighted_figures_are_right_on_average_where_unweighted_ones_are_not() -> None:
    rng = np.random.default_rng(7)
    truth, share_let_through, estimates = 0.7, 0.1, []
    for _ in range(200):
        declines = [
            decision(0.9, "approve", bool(rng.random() < truth), propensity=share_let_through, account=f"a{n}")
            if rng.random() < share_let_through
            else decision(0.9, "decline", None, propensity=1 - share_let_through, account=f"a{n}")
            for n in range(300)
        ]
        ratio = cells(declines)["all", ""].measures["decline_precision"]
        estimates.append(ratio.part / ratio.whole)

    assert np.mean(estimates) == pytest.approx(truth, abs=0.02)


def test_an_amount_that_nobody_pays_leaves_figures_that_can_be_stored() -> None:
    made_up = [decision(0.9, "decline", False, amount=1.7e308), decision(0.1, "approve", True, amount=-1.7e308)]

    stored = msgspec.json.encode(cells(made_up)["all", ""])

    assert msgspec.json.decode(stored, type=Cell) == cells(made_up)["all", ""]
