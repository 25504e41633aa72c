"""Data sets -> X: columns, clock, vocabularies, labels with a delay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from config.errors import InvalidTransaction
from config.schema.model import Derivation, Field, HistoryFeature, Roles, Schema
from ml.features.frame import assemble_frame, fit_vocabularies, mask_history, read_clock
from ml.features.online import Featurizer
from ml.features.spec import FeatureSpec
from tests.history_store import HistoryStore

DAY_S = 86_400.0


@pytest.fixture
def spec(make_schema: Callable[..., Schema]) -> FeatureSpec:
    return FeatureSpec.from_schema(make_schema(), history_events=8)


def payments(n: int = 60) -> pd.DataFrame:
    """A few accounts and merchants over some days, in no order of time, with gaps."""
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "amount": np.where(rng.random(n) < 0.1, np.nan, rng.integers(1, 100, n) / 4),
            "category": rng.choice(["food", "online", "fuel", None], n),
            "is_abroad": rng.random(n) < 0.5,
            "previous_amount": np.where(rng.random(n) < 0.5, np.nan, 9.25),
            "account": rng.choice(["a", "b", None], n),
            "merchant": rng.choice([1.0, 2.0, np.nan], n),
            "at": pd.Timestamp("2026-03-01") + pd.to_timedelta(rng.integers(0, 6 * 86_400, n), "s"),
        }
    )


def test_data_set_equals_serving_its_rows_in_time_order(spec: FeatureSpec) -> None:
    frame = payments()
    is_fraud = (np.arange(len(frame)) % 3 == 0).astype(np.float64)
    vocabularies = fit_vocabularies(frame, spec)
    X = assemble_frame(frame, spec, vocabularies, is_fraud=is_fraud, label_delay_s=DAY_S)

    store = HistoryStore(spec)
    featurizer = Featurizer(spec, vocabularies)
    times = read_clock(frame, spec).times
    waiting: list[tuple[float, list[Any], float, bool]] = []
    for row in np.argsort(times, kind="stable"):
        values = [_sent(frame.iloc[row].get(field.name)) for field in spec.schema.fields]
        t = times[row]
        for label in [label for label in waiting if label[0] <= t]:
            store.label(label[1], label[2], known_at_s=label[0], is_fraud=label[3])
            waiting.remove(label)
        served = featurizer.assemble([values], [store.observe(values, t)], [t]).X[0]
        assert np.array_equal(served, X[row], equal_nan=True)
        waiting.append((t + DAY_S, values, t, bool(is_fraud[row])))


def _sent(cell: Any) -> Any:
    """A cell as the API would have parsed it."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, pd.Timestamp):
        return cell.timestamp()
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def test_vocabulary_ranks_by_frequency_then_text(spec: FeatureSpec) -> None:
    frame = pd.DataFrame({"category": ["b", "c", "c", "a", None, ""]})
    assert fit_vocabularies(frame, spec) == {"category": {"c": 0, "a": 1, "b": 2}}


def test_vocabulary_keeps_the_most_frequent(spec: FeatureSpec) -> None:
    frame = pd.DataFrame({"category": ["b", "c", "c", "a", "a", "a"]})
    assert fit_vocabularies(frame, spec, max_categories=2) == {"category": {"a": 0, "c": 1}}


def test_category_column_of_numbers_is_what_a_client_would_write(spec: FeatureSpec) -> None:
    frame = pd.DataFrame({"category": [3.0, 3.0, np.nan, 4.5]})
    assert fit_vocabularies(frame, spec) == {"category": {"3": 0, "4.5": 1}}


def test_absent_columns_were_never_sent(spec: FeatureSpec) -> None:
    X = assemble_frame(pd.DataFrame({"amount": [1.0, 2.0]}), spec, {"category": {}}, is_fraud=None, label_delay_s=0)
    assert X[:, 0].tolist() == [1.0, 2.0]
    assert np.isnan(X[:, 1:]).all()


def test_data_without_times_runs_on_row_order_and_has_no_calendar(spec: FeatureSpec) -> None:
    frame = pd.DataFrame({"amount": [1.0, 2.0, 4.0], "account": ["a", "a", "a"]})
    clock = read_clock(frame, spec)
    assert clock.source == "row order"
    assert clock.times.tolist() == [0.0, 1.0, 2.0]
    X = assemble_frame(frame, spec, {"category": {}}, is_fraud=None, label_delay_s=0)
    assert np.isnan(X[:, spec.columns.index("hour")]).all()
    assert X[:, spec.columns.index("account_count_24h")].tolist() == [0.0, 1.0, 2.0]


def test_row_without_a_time_gets_that_of_the_row_before(spec: FeatureSpec) -> None:
    frame = pd.DataFrame({"at": ["2026-03-01T00:00:00Z", None, "2026-03-01T00:00:09.5Z"]})
    clock = read_clock(frame, spec)
    assert clock.filled == 1
    assert (clock.times - clock.times[0]).tolist() == [0.0, 0.0, 9.5]


def test_label_is_seen_only_after_its_delay(make_schema: Callable[..., Schema]) -> None:
    spec = FeatureSpec.from_schema(make_schema(features=(HistoryFeature("frauds", "account", "fraud_count"),)))
    frame = pd.DataFrame({"amount": 1.0, "account": "a", "at": [0, 5, 9, 10, 11]})
    fraud = np.array([1.0, 1.0, math.nan, 0.0, 1.0])
    X = assemble_frame(frame, spec, {"category": {}}, is_fraud=fraud, label_delay_s=5.0)
    assert X[:, -1].tolist() == [0.0, 1.0, 1.0, 2.0, 2.0]


def test_masked_rows_forget_their_history_only(spec: FeatureSpec) -> None:
    frame = payments()
    X = assemble_frame(frame, spec, fit_vocabularies(frame, spec), is_fraud=None, label_delay_s=0)
    whole = X.copy()
    mask_history(X, spec, 0.5, np.random.default_rng(1))
    width = len(spec.sources)
    forgotten = np.isnan(X[:, width:]).all(axis=1)
    assert 15 < forgotten.sum() < 50
    assert np.array_equal(X[:, :width], whole[:, :width], equal_nan=True)
    assert np.array_equal(X[~forgotten], whole[~forgotten], equal_nan=True)


def test_cell_that_is_no_number_is_named_with_its_row() -> None:
    schema = Schema("plain", 1, fields=(Field("v1", "number"),), roles=Roles())
    with pytest.raises(InvalidTransaction, match=r"Column v1, row 2: .abc. is not") as raised:
        assemble_frame(
            pd.DataFrame({"v1": ["1.5", "NA", "abc"]}),
            FeatureSpec.from_schema(schema),
            {},
            is_fraud=None,
            label_delay_s=0,
        )
    assert raised.value.errors[0].pointer == "/v1"


def test_infinite_numbers_are_missing() -> None:
    schema = Schema("plain", 1, fields=(Field("v1", "number"),), roles=Roles())
    frame = pd.DataFrame({"v1": [1.0, math.inf, -math.inf]})
    X = assemble_frame(frame, FeatureSpec.from_schema(schema), {}, is_fraud=None, label_delay_s=0)
    assert np.array_equal(X[:, 0], [1.0, math.nan, math.nan], equal_nan=True)


def test_the_time_since_another_field_is_the_same_online_and_offline(make_schema: Callable[..., Schema]) -> None:
    fields = (
        Field("at", "timestamp"),
        Field("born", "timestamp", required=False, nullable=True),
        Field("age_d", "number", required=False, derived=Derivation(since="born")),
        Field("age_h", "number", unit="h", required=False, derived=Derivation(since="born")),
    )
    spec = FeatureSpec.from_schema(make_schema(fields=fields, roles=Roles(event_time="at"), features=()))
    frame = pd.DataFrame(
        {
            "at": pd.to_datetime(["2026-03-02T12:00:00Z", "2026-03-02", "2026-03-01"], format="ISO8601", utc=True),
            "born": pd.to_datetime(["2026-03-01T00:00:00Z", None, "2026-03-02"], format="ISO8601", utc=True),
            "age_h": [np.nan, np.nan, 7.0],
        }
    )

    X = assemble_frame(frame, spec, {}, is_fraud=None, label_delay_s=0)

    assert np.array_equal(X, [[1.5, 36.0], [np.nan, np.nan], [-1.0, 7.0]], equal_nan=True)
    sent = [[cell.timestamp() if pd.notna(cell) else None for cell in row] for row in frame[["at", "born"]].to_numpy()]
    rows = [[*times, None, None if np.isnan(age) else age] for times, age in zip(sent, frame["age_h"], strict=True)]
    served = Featurizer(spec, {}).assemble(rows, [[]] * 3, [row[0] for row in rows])
    assert np.array_equal(served.X, X, equal_nan=True)
    assert served.derived[0] == {"age_d": 1.5, "age_h": 36.0}
    assert served.derived[2] == {"age_d": -1.0}
