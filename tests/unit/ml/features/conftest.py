"""A small payment schema that the feature tests vary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from config.schema.model import Derivation, Field, HistoryFeature, Roles, Schema

HOUR_S = 3600.0

FIELDS = (
    Field("transaction_id", "id", required=False),
    Field("amount", "number"),
    Field("hour", "integer", derived=Derivation(calendar="hour")),
    Field("category", "category"),
    Field("is_abroad", "boolean", required=False),
    Field("previous_amount", "number", derived=Derivation(entity="account", aggregate="last")),
    Field("account", "id", required=False),
    Field("merchant", "id", required=False),
    Field("at", "timestamp", required=False),
)
ROLES = Roles(
    amount="amount",
    event_time="at",
    transaction_id="transaction_id",
    entities=(("account", "account"), ("merchant", "merchant")),
)
FEATURES = (
    HistoryFeature("account_count_24h", "account", "count", 24 * HOUR_S),
    HistoryFeature("account_amount_mean_24h", "account", "mean", 24 * HOUR_S),
    HistoryFeature("account_merchants", "account", "distinct", of="merchant"),
    HistoryFeature("merchant_fraud_rate_48h", "merchant", "fraud_rate", 48 * HOUR_S, delay_s=24 * HOUR_S),
)

MakeSchema = Callable[..., Schema]


@pytest.fixture(scope="session")
def make_schema() -> MakeSchema:
    """Makes the payment schema, with other fields, roles or features where given."""

    def make(**changes: Any) -> Schema:
        parts: dict[str, Any] = {"fields": FIELDS, "roles": ROLES, "features": FEATURES, **changes}
        return Schema("payment", 1, **parts)

    return make


@pytest.fixture
def values() -> Callable[..., list[Any]]:
    """Makes one transaction's values in schema order; what is not named was not sent."""

    def make(**sent: Any) -> list[Any]:
        return [sent.get(field.name) for field in FIELDS]

    return make
