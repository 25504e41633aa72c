"""From a schema to columns, entities and packed events."""

from __future__ import annotations

import math
import pickle
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from config.errors import SchemaInvalid
from config.schema.model import Derivation, Field, HistoryFeature, Roles, Schema
from ml.features.history_log import hash_text
from ml.features.spec import FeatureSpec


def test_columns_are_model_fields_then_history_features(make_schema: Callable[..., Schema]) -> None:
    spec = FeatureSpec.from_schema(make_schema())
    assert spec.columns == (
        "amount",
        "hour",
        "category",
        "is_abroad",
        "previous_amount",
        "account_count_24h",
        "account_amount_mean_24h",
        "account_merchants",
        "merchant_fraud_rate_48h",
    )
    assert spec.history == spec.columns[5:]
    assert spec.categories == ("category",)
    assert spec.derived == ("hour", "previous_amount")


def test_entities_keep_only_what_their_features_aggregate(make_schema: Callable[..., Schema]) -> None:
    account, merchant = FeatureSpec.from_schema(make_schema()).entities
    assert account.record == ("amount", "merchant")
    assert account.hashed == (False, True)
    assert not account.uses_labels
    assert account.event_size == 24
    assert merchant.record == ()
    assert merchant.uses_labels


def test_entity_without_features_is_not_looked_up(make_schema: Callable[..., Schema]) -> None:
    only_merchant = HistoryFeature("merchant_count", "merchant", "count")
    fields = tuple(field for field in make_schema().fields if field.name != "previous_amount")
    spec = FeatureSpec.from_schema(make_schema(fields=fields, features=(only_merchant,)))
    assert [entity.name for entity in spec.entities] == ["merchant"]


def test_schema_without_entities_or_times_has_no_history() -> None:
    schema = Schema("plain", 1, fields=(Field("v1", "number"), Field("v2", "number")), roles=Roles())
    spec = FeatureSpec.from_schema(schema)
    assert spec.columns == ("v1", "v2")
    assert spec.entities == ()
    assert spec.event_time([1.0, 2.0], 77.0) == 77.0


def test_event_time_is_what_was_sent_else_when_it_was_received(
    make_schema: Callable[..., Schema], values: Callable[..., list[Any]]
) -> None:
    spec = FeatureSpec.from_schema(make_schema())
    assert spec.event_time(values(at=5.0), 77.0) == 5.0
    assert spec.event_time(values(), 77.0) == 77.0


def test_record_is_time_then_kept_values_with_texts_hashed(
    make_schema: Callable[..., Schema], values: Callable[..., list[Any]]
) -> None:
    spec = FeatureSpec.from_schema(make_schema())
    packed = spec.record(spec.entities[0], values(amount=12, merchant="m1", account="a1"), 5.0)
    assert packed == struct.pack("<3d", 5.0, 12.0, hash_text("m1"))


def test_missing_value_is_kept_as_nan(make_schema: Callable[..., Schema], values: Callable[..., list[Any]]) -> None:
    spec = FeatureSpec.from_schema(make_schema())
    assert all(math.isnan(value) for value in spec.entities[0].kept(values(account="a1")))


def test_transaction_that_names_no_account_has_no_key(
    make_schema: Callable[..., Schema], values: Callable[..., list[Any]]
) -> None:
    account = FeatureSpec.from_schema(make_schema()).entities[0]
    assert account.key(values()) is None
    assert account.key(values(account=7)) == "7"


def test_spec_survives_pickling_for_the_bundle(make_schema: Callable[..., Schema]) -> None:
    spec = FeatureSpec.from_schema(make_schema())
    copy = pickle.loads(pickle.dumps(spec))
    assert copy == spec
    assert np.array_equal(copy.entities[0].operations, spec.entities[0].operations, equal_nan=True)


@pytest.mark.parametrize(
    ("feature", "reason"),
    [
        (HistoryFeature("f", "card", "count", line=7), "line 7: f is about 'card'"),
        (
            HistoryFeature("f", "account", "mean", of="nothing", line=7),
            "line 7: f needs a field to aggregate",
        ),
        (HistoryFeature("f", "account", "mean", of="category", line=7), "line 7: f is the mean of category"),
        (HistoryFeature("amount", "account", "count", line=7), "Two columns have the same name: amount"),
    ],
)
def test_feature_that_makes_no_sense_is_refused_with_its_line(
    make_schema: Callable[..., Schema], feature: HistoryFeature, reason: str
) -> None:
    with pytest.raises(SchemaInvalid, match=reason):
        FeatureSpec.from_schema(make_schema(features=(feature,)))


def test_aggregate_without_amount_or_of_is_refused(make_schema: Callable[..., Schema]) -> None:
    roles = Roles(entities=(("account", "account"),))
    with pytest.raises(SchemaInvalid, match="or the amount role"):
        FeatureSpec.from_schema(make_schema(roles=roles, features=()))


@pytest.mark.parametrize(
    ("derivation", "reason"),
    [
        (Derivation(calendar="hour"), "only numbers, integers and booleans"),
        (Derivation(entity="account"), "without an aggregate"),
    ],
)
def test_derivation_that_makes_no_sense_is_refused(
    make_schema: Callable[..., Schema], derivation: Derivation, reason: str
) -> None:
    field = Field("odd", "category" if derivation.calendar else "number", derived=derivation)
    with pytest.raises(SchemaInvalid, match=reason):
        FeatureSpec.from_schema(make_schema(fields=(*make_schema().fields, field), features=()))
