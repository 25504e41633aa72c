"""Batches of values and logs -> X and what was filled in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from config.schema.model import Field, Roles, Schema
from ml.features.history_log import pack_event
from ml.features.online import Featurizer
from ml.features.spec import FeatureSpec, hash_text

NOON = 1_772_539_200.0  # 2026-03-03T12:00:00Z
NOTHING = [(b"", b""), (b"", b"")]


@pytest.fixture
def featurizer(make_schema: Callable[..., Schema]) -> Featurizer:
    return Featurizer(FeatureSpec.from_schema(make_schema()), {"category": {"online": 0, "food": 1}})


def test_values_become_numbers_in_column_order(featurizer: Featurizer, values: Callable[..., list[Any]]) -> None:
    row = values(amount=12, hour=3, category="food", is_abroad=True, previous_amount=5.5)
    X = featurizer.assemble([row], [NOTHING], [NOON]).X
    assert X.dtype == np.float64
    assert X[0, :5].tolist() == [12.0, 3.0, 1.0, 1.0, 5.5]
    assert np.isnan(X[0, 5:]).all()


def test_unknown_and_missing_categories_are_nan(featurizer: Featurizer, values: Callable[..., list[Any]]) -> None:
    rows = [values(category="never seen"), values(category=None), values(category="online")]
    X = featurizer.assemble(rows, [NOTHING] * 3, [NOON] * 3).X
    assert np.isnan(X[:2, 2]).all()
    assert X[2, 2] == 0.0


def test_fields_that_were_not_sent_are_derived_from_time_and_history(
    featurizer: Featurizer, values: Callable[..., list[Any]]
) -> None:
    log = pack_event(NOON - 7200, [40.0, hash_text("m1")]) + pack_event(NOON - 3600, [60.0, hash_text("m2")])
    row = values(amount=10.0, account="a1")
    assembled = featurizer.assemble([row], [[(log, b""), (b"", b"")]], [NOON])
    assert assembled.derived == [
        {
            "hour": 12.0,
            "previous_amount": 60.0,
            "account_count_24h": 2.0,
            "account_amount_mean_24h": 50.0,
            "account_merchants": 2.0,
        }
    ]


def test_sent_value_wins_over_what_could_be_derived(featurizer: Featurizer, values: Callable[..., list[Any]]) -> None:
    log = pack_event(NOON - 3600, [60.0, 1.0])
    row = values(amount=10.0, account="a1", hour=3, previous_amount=1.5)
    assembled = featurizer.assemble([row], [[(log, b""), (b"", b"")]], [NOON])
    assert assembled.X[0, 1] == 3.0
    assert assembled.X[0, 4] == 1.5
    assert "hour" not in assembled.derived[0]
    assert "previous_amount" not in assembled.derived[0]


def test_new_account_has_counted_nothing_but_no_account_is_unknown(
    featurizer: Featurizer, values: Callable[..., list[Any]]
) -> None:
    X = featurizer.assemble([values(account="new"), values()], [NOTHING] * 2, [NOON] * 2).X
    assert X[0, 5] == 0.0
    assert math.isnan(X[1, 5])


def test_rows_of_a_batch_do_not_see_each_other(featurizer: Featurizer, values: Callable[..., list[Any]]) -> None:
    rows = [values(amount=float(i), account=f"a{i}", merchant="m") for i in range(5)]
    logs = [
        [(b"".join(pack_event(NOON - 60.0 * j, [10.0 * i, 1.0]) for j in range(i)), b""), (b"", b"")] for i in range(5)
    ]
    together = featurizer.assemble(rows, logs, [NOON] * 5).X
    alone = [featurizer.assemble([row], [log], [NOON]).X[0] for row, log in zip(rows, logs, strict=True)]
    assert np.array_equal(together, np.array(alone), equal_nan=True)
    assert together[:, 5].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_log_of_another_schema_is_refused(featurizer: Featurizer, values: Callable[..., list[Any]]) -> None:
    with pytest.raises(ValueError, match="whole number of records"):
        featurizer.assemble([values(account="a1")], [[(b"x" * 16, b""), (b"", b"")]], [NOON])


def test_empty_batch_is_empty(featurizer: Featurizer) -> None:
    assembled = featurizer.assemble([], [], [])
    assert assembled.X.shape == (0, 9)
    assert assembled.derived == []


def test_category_without_vocabulary_is_refused(make_schema: Callable[..., Schema]) -> None:
    with pytest.raises(ValueError, match="category"):
        Featurizer(FeatureSpec.from_schema(make_schema()), {})


def test_schema_without_entities_needs_no_logs() -> None:
    schema = Schema("plain", 1, fields=(Field("v1", "number"), Field("v2", "integer")), roles=Roles())
    featurizer = Featurizer(FeatureSpec.from_schema(schema), {})
    assembled = featurizer.assemble([[1.5, 2], [None, 3]], [[], []], [0.0, 0.0])
    assert np.array_equal(assembled.X, [[1.5, 2.0], [math.nan, 3.0]], equal_nan=True)
    assert assembled.derived == [{}, {}]
