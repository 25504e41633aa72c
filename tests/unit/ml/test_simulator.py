"""The simulator: its frames are valid, repeatable, and hold the frauds that its docstring promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from config.schema.load import load_schema
from config.schema.model import Derivation, Field, Roles, Schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.simulator import draw_population, simulate_payments, simulate_table

PAYMENT = load_schema(Path(DEFAULT_SCHEMA))
START = datetime(2026, 2, 2, tzinfo=UTC)


def simulate(n: int = 6000, seed: int = 1, **changes: object) -> pd.DataFrame:
    return simulate_payments(
        PAYMENT, n, np.random.default_rng(seed), start_at=START, with_pattern=True, **changes  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture(scope="module")
def payments() -> pd.DataFrame:
    return simulate(40_000, days=60)


def test_a_simulation_has_exactly_as_many_payments_and_frauds_as_asked_for(payments: pd.DataFrame) -> None:
    assert len(payments) == 40_000
    assert payments["is_fraud"].sum() == round(40_000 * 0.012)
    assert set(payments.loc[payments["is_fraud"] == 0, "pattern"]) == {""}


def test_payments_come_in_time_order_within_their_days(payments: pd.DataFrame) -> None:
    at = payments["timestamp"]
    assert at.is_monotonic_increasing
    assert at.iloc[0] >= START
    assert at.iloc[-1] < START + timedelta(days=60)
    assert at.dt.floor("ms").equals(at)


def test_columns_are_the_raw_form_of_the_schema(payments: pd.DataFrame) -> None:
    assert list(payments.columns) == [
        "transaction_id", "account_id", "merchant_id", "timestamp", "currency", "amount", "merchant_category",
        "is_fraud", "known_at", "pattern",
    ]  # fmt: skip
    assert payments["transaction_id"].is_unique
    assert not payments.isna().any(axis=None)


def test_columns_that_a_schema_does_not_declare_are_left_out() -> None:
    smaller = Schema("small", 1, (Field("amount", "number"), Field("timestamp", "timestamp")), Roles(label="bad"))
    frame = simulate_payments(smaller, 50, np.random.default_rng(1))
    assert list(frame.columns) == ["timestamp", "amount", "bad", "known_at"]


def test_every_payment_passes_the_validation_of_the_api() -> None:
    validator = compile_validator(PAYMENT)
    frame = simulate(200, fraud_share=0.3).drop(columns=["is_fraud", "known_at", "pattern"])
    frame["timestamp"] = [moment.isoformat() for moment in frame["timestamp"]]
    for row in frame.to_dict("records"):
        assert validator.validate(row).transaction_id == row["transaction_id"]


def test_the_same_seed_gives_the_same_payments_and_another_seed_others() -> None:
    pd.testing.assert_frame_equal(simulate(seed=3), simulate(seed=3))
    assert not simulate(seed=3)["amount"].equals(simulate(seed=4)["amount"])


def test_labels_become_known_about_a_week_later(payments: pd.DataFrame) -> None:
    delay_days = (payments["known_at"] - payments["timestamp"]).dt.total_seconds() / 86_400
    assert delay_days.min() > 0
    assert delay_days.mean() == pytest.approx(7, rel=0.05)
    assert np.log(delay_days).std() == pytest.approx(0.6, rel=0.05)


def test_each_fraud_pattern_has_its_share(payments: pd.DataFrame) -> None:
    shares = payments.loc[payments["is_fraud"] == 1, "pattern"].value_counts(normalize=True)
    expected = {
        "stolen_card": 0.50, "out_of_pattern": 0.18, "card_testing": 0.15,
        "compromised_merchant": 0.14, "lookalike": 0.03,
    }  # fmt: skip
    assert shares.to_dict() == pytest.approx(expected, abs=0.01)


def test_stolen_cards_pay_much_in_quick_succession_and_often_at_night(payments: pd.DataFrame) -> None:
    stolen, honest = (payments[payments["pattern"] == name] for name in ("stolen_card", ""))
    assert stolen["amount"].median() > 4 * honest["amount"].median()
    gaps = stolen.groupby("account_id")["timestamp"].diff().dropna().dt.total_seconds()
    assert gaps.median() < 900
    is_night = stolen["timestamp"].dt.hour < 6
    assert is_night.mean() > 0.35
    assert (honest["timestamp"].dt.hour < 6).mean() < 0.12


def test_card_tests_are_tiny_and_mostly_online(payments: pd.DataFrame) -> None:
    tests = payments[payments["pattern"] == "card_testing"]
    assert tests["amount"].median() < 5
    assert (tests["merchant_category"] == "online").mean() > 0.7


def test_compromised_merchants_gather_fraud_that_looks_ordinary(payments: pd.DataFrame) -> None:
    copied, honest = (payments[payments["pattern"] == name] for name in ("compromised_merchant", ""))
    assert copied.groupby("merchant_id").size().max() >= 5
    assert 0.4 < copied["amount"].median() / honest["amount"].median() < 2.5


def test_honest_life_is_untidy_too(payments: pd.DataFrame) -> None:
    honest = payments[payments["pattern"] == ""]
    gaps_s = honest.groupby("account_id")["timestamp"].diff().dt.total_seconds()
    assert (gaps_s < 3600).mean() > 0.03
    assert (honest["amount"] < 6).mean() > 0.01
    assert (honest["amount"] > 10 * honest["amount"].median()).mean() > 0.003


def test_fraud_drifts_from_the_day_that_was_asked_for() -> None:
    drifting = simulate(20_000, days=60, drift_day=30)
    is_late = drifting["timestamp"] >= START + timedelta(days=30)
    early, late = (drifting.loc[rows & (drifting["is_fraud"] == 1), "pattern"] for rows in (~is_late, is_late))
    assert "gift_cards" not in set(early)
    assert (late == "gift_cards").mean() > 0.25
    assert drifting["is_fraud"].sum() == round(20_000 * 0.012)


def test_a_population_can_live_on_into_the_next_stretch_of_time() -> None:
    rng = np.random.default_rng(5)
    population = draw_population(50, 80, rng)
    first, second = (
        simulate_payments(PAYMENT, 500, rng, start_at=START + timedelta(days=day), days=7, population=population)
        for day in (0, 7)
    )
    assert set(first["account_id"]) & set(second["account_id"])
    assert len(set(first["account_id"]) | set(second["account_id"])) <= 50
    assert first["timestamp"].max() < second["timestamp"].min()


@pytest.mark.parametrize("n", [1, 2, 37, 300])
@pytest.mark.parametrize("days", [0.25, 1.0, 400.0])
@pytest.mark.parametrize("fraud_share", [0.0, 0.1, 0.5])
def test_short_and_long_simulations_keep_their_counts(n: int, days: float, fraud_share: float) -> None:
    frame = simulate(n, days=days, fraud_share=fraud_share)
    assert len(frame) == n
    assert frame["is_fraud"].sum() == round(n * fraud_share)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "n_transactions"),
        ({"days": 0}, "days"),
        ({"fraud_share": 0.9}, "fraud_share"),
    ],
)
def test_counts_and_shares_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(**changes)


def thirty_numbers() -> Schema:
    fields = tuple(Field(f"v{number}", "number", required=number % 3 > 0) for number in range(30))
    return Schema("thirty", 1, fields, Roles(label="class"))


def mixed_columns() -> Schema:
    kinds = ("number", "integer", "category", "boolean", "string")
    fields = [Field(f"f{n}", kinds[n % 5], min=0, max=9, max_length=3, nullable=True) for n in range(100)]
    fields += [
        Field("at", "timestamp"), Field("who", "id", model=False), Field("row", "id", model=False),
        Field("hour", "integer", derived=Derivation(calendar="hour")),
    ]  # fmt: skip
    roles = Roles(event_time="at", transaction_id="row", entities=(("person", "who"),))
    return Schema("mixed", 1, tuple(fields), roles)


@pytest.mark.parametrize("schema", [thirty_numbers(), mixed_columns(), PAYMENT], ids=lambda schema: schema.name)
def test_any_schema_gets_a_valid_labelled_table(schema: Schema) -> None:
    frame = simulate_table(schema, 400, np.random.default_rng(2), fraud_share=0.1)
    label = schema.roles.label or "is_fraud"
    assert frame[label].sum() == 40
    validator = compile_validator(schema)
    for row in frame.drop(columns=label).astype(object).head(25).to_dict("records"):
        fields = {field.name: field for field in schema.fields}
        sent = {name: _as_sent(value, fields[name]) for name, value in row.items()}
        validator.validate({name: value for name, value in sent.items() if value is not None or fields[name].nullable})


def _as_sent(value: object, field: Field) -> object:
    if pd.isna(value):
        return None
    if field.type == "integer":
        return int(value)
    return value.isoformat() if isinstance(value, pd.Timestamp) else value


def test_a_table_keeps_to_bounds_and_leaves_cells_empty_where_it_may() -> None:
    frame = simulate_table(mixed_columns(), 500, np.random.default_rng(2), missing_share=0.5)
    assert "hour" not in frame
    assert frame["f1"].dropna().between(0, 9).all()
    assert 0.4 < frame["f0"].isna().mean() < 0.6
    assert frame["f2"].dropna().str.len().max() <= 3
    assert frame["at"].is_monotonic_increasing
    assert frame["row"].is_unique
    assert frame["who"].nunique() == 10


def test_the_label_of_a_table_can_be_learnt_in_part() -> None:
    frame = simulate_table(thirty_numbers(), 3000, np.random.default_rng(6), fraud_share=0.1, missing_share=0)
    strength = frame.drop(columns="class").corrwith(frame["class"], method="spearman").abs()
    assert strength[[f"v{number}" for number in range(5)]].max() > 0.15
    assert strength[[f"v{number}" for number in range(5, 30)]].max() < 0.1
