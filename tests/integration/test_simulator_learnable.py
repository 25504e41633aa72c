"""What a model can learn from simulated payments: a good deal, and not everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.simulator import simulate_payments

FIELDS = ["amount", "hour", "day_of_week", "category", "previous_amount", "hours_since_last"]


@pytest.fixture(scope="module")
def payments() -> pd.DataFrame:
    """Simulated payments in the six-field form, with their label and category codes."""
    schema = load_schema(Path(DEFAULT_SCHEMA))
    frame = simulate_payments(schema, 60_000, np.random.default_rng(0))
    by_account = frame.groupby("account_id")
    frame["hour"] = frame["timestamp"].dt.hour
    frame["day_of_week"] = frame["timestamp"].dt.day_of_week
    frame["category"] = frame["merchant_category"].astype("category").cat.codes
    frame["previous_amount"] = by_account["amount"].shift()
    frame["hours_since_last"] = by_account["timestamp"].diff().dt.total_seconds() / 3600
    return frame


@pytest.fixture(scope="module")
def model(payments: pd.DataFrame) -> HistGradientBoostingClassifier:
    """Trained on the first 70% of payments in time."""
    model = HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.15, max_leaf_nodes=16, l2_regularization=5,
        categorical_features=[FIELDS.index("category")], random_state=0,
    )  # fmt: skip
    train = payments.iloc[: 7 * len(payments) // 10]
    with threadpool_limits(1):  # OpenMP threads that compete with other tests for cores make it many times slower
        return model.fit(train[FIELDS].to_numpy(float), train["is_fraud"])


def test_six_fields_find_most_fraud_and_not_all(payments: pd.DataFrame, model: HistGradientBoostingClassifier) -> None:
    test = payments.iloc[7 * len(payments) // 10 :]
    score = model.predict_proba(test[FIELDS].to_numpy(float))[:, 1]
    assert 0.85 < roc_auc_score(test["is_fraud"], score) < 0.95


def test_a_jump_in_amount_online_at_night_stands_out_and_groceries_do_not(
    payments: pd.DataFrame, model: HistGradientBoostingClassifier
) -> None:
    codes = dict(zip(payments["merchant_category"], payments["category"], strict=True))
    night_jump = [1500.0, 3, 1, codes["online"], 50.0, 0.5]
    groceries = [25.0, 14, 2, codes["grocery"], 30.0, 20.0]
    high, low = model.predict_proba(np.array([night_jump, groceries], float))[:, 1]
    assert high > 0.5
    assert low < 0.02
