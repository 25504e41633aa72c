"""Each aggregate of the kernel on small logs whose answers can be read off."""

from __future__ import annotations

import math

import numpy as np
import pytest

from config.schema.model import Aggregate
from ml.features.kernel import history_features
from ml.features.plan import Operation, compile_operations

NOW = 1000.0
NAN = math.nan


def compute(
    aggregate: Aggregate,
    events: list[tuple[float, float]],
    *,
    labels: list[tuple[float, float, float, float]] = (),
    own: float = 10.0,
    t: float = NOW,
    window_s: float | None = 100.0,
    delay_s: float = 0.0,
    default: float | None = None,
    column: int = 1,
) -> float:
    """One feature of one transaction, for a log of one value per event."""
    operation = Operation(aggregate, window_s, delay_s, column=column, default=default, target=0, keeps_sent=False)
    windows, operations = compile_operations([operation])
    out = np.full(1, 99.0)
    history_features(
        t,
        np.array([own]),
        np.array(events, np.float64).reshape(-1, 2),
        np.array(labels, np.float64).reshape(-1, 4),
        windows,
        operations,
        out,
    )
    return float(out[0])


EVENTS = [(950.0, 4.0), (960.0, 8.0), (970.0, 4.0), (980.0, 16.0)]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("count", 4.0),
        ("sum", 32.0),
        ("mean", 8.0),
        ("std", math.sqrt(96 / 3)),
        ("min", 4.0),
        ("max", 16.0),
        ("distinct", 3.0),
        ("last", 16.0),
        ("time_since_last", 20 / 3600),
        ("ratio_to_mean", 10 / 8),
        ("zscore", 2 / math.sqrt(96 / 3)),
    ],
)
def test_aggregate_follows_its_formula(aggregate: Aggregate, expected: float) -> None:
    assert compute(aggregate, EVENTS) == expected


@pytest.mark.parametrize("aggregate", ["count", "sum", "distinct", "label_count", "fraud_count", "fraud_streak"])
def test_nothing_counted_is_zero(aggregate: Aggregate) -> None:
    assert compute(aggregate, []) == 0.0


@pytest.mark.parametrize(
    "aggregate",
    ["mean", "std", "min", "max", "last", "time_since_last", "ratio_to_mean", "zscore", "fraud_rate"],
)
def test_aggregate_of_nothing_is_missing_or_the_declared_default(aggregate: Aggregate) -> None:
    assert math.isnan(compute(aggregate, []))
    assert compute(aggregate, [], default=-1.0) == -1.0


def test_window_holds_its_end_but_not_its_start() -> None:
    assert compute("sum", [(900.0, 1.0), (900.5, 2.0), (1000.0, 4.0), (1000.5, 8.0)]) == 6.0


def test_delay_moves_the_window_into_the_past() -> None:
    events = [(840.0, 1.0), (850.5, 2.0), (950.0, 4.0), (950.5, 8.0)]
    assert compute("sum", events, delay_s=50.0) == 6.0


def test_window_without_length_reaches_back_over_all_that_is_kept() -> None:
    assert compute("count", [(-1e9, 1.0), (0.0, 1.0)], window_s=None) == 2.0


def test_missing_values_are_events_but_not_values() -> None:
    events = [(950.0, 4.0), (960.0, NAN)]
    assert compute("count", events, column=0) == 2.0
    assert compute("count", events) == 1.0
    assert compute("mean", events) == 4.0
    assert compute("last", events) == 4.0
    assert compute("time_since_last", events) == 40 / 3600


def test_last_goes_by_event_time_then_by_arrival() -> None:
    assert compute("last", [(980.0, 1.0), (980.0, 2.0), (970.0, 3.0)]) == 2.0


def test_deviation_of_one_value_is_not_defined() -> None:
    assert math.isnan(compute("std", [(950.0, 4.0)]))
    assert math.isnan(compute("zscore", [(950.0, 4.0), (960.0, 4.0)]))


def test_equal_values_do_not_deviate_though_their_mean_is_off_by_a_bit() -> None:
    events = [(950.0, 24.9), (960.0, 24.9), (970.0, 24.9)]
    assert compute("mean", events) != 24.9
    assert compute("std", events) == 0.0
    assert compute("zscore", events, default=-1.0) == -1.0


def test_ratio_to_a_mean_of_zero_is_not_defined() -> None:
    assert compute("ratio_to_mean", [(950.0, 0.0)], default=1.0) == 1.0


def test_missing_own_value_has_no_ratio() -> None:
    assert math.isnan(compute("ratio_to_mean", EVENTS, own=NAN))


def test_labels_count_only_once_they_are_known() -> None:
    labels = [(950.0, 990.0, 1.0, 1.0), (960.0, 1000.0, 0.0, 1.0), (970.0, 1000.5, 1.0, 1.0)]
    assert compute("label_count", EVENTS, labels=labels) == 2.0
    assert compute("fraud_count", EVENTS, labels=labels) == 1.0


def test_fraud_rate_is_over_transactions_where_few_are_labelled() -> None:
    assert compute("fraud_rate", EVENTS, labels=[(950.0, 990.0, 1.0, 1.0)]) == 0.25


def test_fraud_rate_is_over_labels_where_the_events_are_gone() -> None:
    labels = [(950.0, 990.0, 1.0, 1.0), (960.0, 990.0, 0.0, 1.0)]
    assert compute("fraud_rate", [], labels=labels) == 0.5


def test_revised_label_counts_as_revised() -> None:
    first = (950.0, 980.0, 1.0, 1.0)
    revision = [(950.0, 990.0, 1.0, -1.0), (950.0, 990.0, 0.0, 1.0)]
    assert compute("fraud_count", EVENTS, labels=[first]) == 1.0
    assert compute("fraud_count", EVENTS, labels=[first, *revision]) == 0.0
    assert compute("label_count", EVENTS, labels=[first, *revision]) == 1.0


def test_streak_is_the_frauds_since_the_latest_genuine_transaction() -> None:
    labels = [
        (910.0, 990.0, 1.0, 1.0),
        (950.0, 990.0, 0.0, 1.0),
        (960.0, 990.0, 1.0, 1.0),
        (964.0, 990.0, 1.0, 1.0),
    ]
    assert compute("fraud_streak", [], labels=labels) == 2.0
    assert compute("fraud_streak_age", [], labels=labels) == 40 / 3600


def test_genuine_verdict_that_was_taken_back_does_not_end_a_streak() -> None:
    labels = [(950.0, 990.0, 1.0, 1.0), (960.0, 990.0, 0.0, 1.0)]
    revision = [(960.0, 995.0, 0.0, -1.0), (960.0, 995.0, 1.0, 1.0)]
    assert compute("fraud_streak", [], labels=labels) == 0.0
    assert math.isnan(compute("fraud_streak_age", [], labels=labels))
    assert compute("fraud_streak", [], labels=[*labels, *revision]) == 2.0
    assert compute("fraud_streak_age", [], labels=[*labels, *revision]) == 50 / 3600


def test_revision_whose_label_was_trimmed_never_counts_below_zero() -> None:
    labels = [(950.0, 990.0, 1.0, -1.0), (950.0, 990.0, 0.0, 1.0), (960.0, 990.0, 0.0, 1.0)]
    assert compute("fraud_count", EVENTS, labels=labels) == 0.0


def test_transaction_without_the_entity_has_no_features() -> None:
    assert math.isnan(compute("count", EVENTS, t=NAN, default=5.0))


@pytest.mark.parametrize("scale", [1.0, 1e-12, 2.0**40, 1e300])
def test_distinct_counts_exactly_whatever_the_values(scale: float) -> None:
    values = [((i * 7919) % 61 - 30) * scale for i in range(128)] + [0.0, -0.0, math.inf, -math.inf]
    events = [(950.0, value) for value in values]
    assert compute("distinct", events) == len(set(values))
