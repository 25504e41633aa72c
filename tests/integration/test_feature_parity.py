"""Real transactions: what is served one batch at a time equals what replay computes, to the last bit.

Offline half; the store is played by byte logs in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from config.schema.load import load_schema
from config.schema.model import Schema
from ml.features.frame import assemble_frame
from ml.features.online import Featurizer
from ml.features.spec import FeatureSpec
from tests.history_store import HistoryStore

SCHEMAS = Path(__file__).parents[2] / "config" / "schemas"
DAY_S = 86_400.0
LABEL_DELAY_S = 7 * DAY_S
BATCH = 64


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(SCHEMAS / "card.toml")


@pytest.fixture(scope="module")
def transactions(data_dir_real: Path) -> pd.DataFrame:
    """Two months of 120 customers and 150 terminals: full logs, trimmed logs, known frauds, compromised terminals."""
    data = pd.read_parquet(data_dir_real / "handbook.parquet")
    some = data[((data.CUSTOMER_ID < 120) | (data.TERMINAL_ID < 150)) & (data.TX_TIME_DAYS < 60)]
    return some.reset_index(drop=True)


def batches(frame: pd.DataFrame, schema: Schema) -> Iterator[tuple[list[list[Any]], list[float], list[bool]]]:
    """The transactions as the web side would send them."""
    columns = [_as_parsed(frame[field.name]) if field.name in frame else [None] * len(frame) for field in schema.fields]
    rows = [list(row) for row in zip(*columns, strict=True)]
    times = _as_parsed(frame["TX_DATETIME"])
    frauds = frame["TX_FRAUD"].astype(bool).tolist()
    for start in range(0, len(rows), BATCH):
        part = slice(start, start + BATCH)
        yield rows[part], times[part], frauds[part]


def _as_parsed(column: pd.Series) -> list[Any]:
    if column.dtype.kind == "M":
        return [stamp.timestamp() for stamp in column.dt.tz_localize("UTC")]
    return column.astype(str).tolist() if column.dtype.kind == "i" else column.tolist()


def serve(frame: pd.DataFrame, spec: FeatureSpec) -> np.ndarray:
    """X of every transaction, batch by batch, labels arriving in between."""
    store, featurizer = HistoryStore(spec), Featurizer(spec, {})
    waiting: list[tuple[float, int, list[Any], float, bool]] = []
    served, place = [], 0
    for rows, times, frauds in batches(frame, spec.schema):
        logs = []
        for values, t, is_fraud in zip(rows, times, frauds, strict=True):
            while waiting and waiting[0][0] <= t:
                known_at, _, labelled, at, was_fraud = heappop(waiting)
                store.label(labelled, at, known_at_s=known_at, is_fraud=was_fraud)
            logs.append(store.observe(values, t))
            place += 1
            heappush(waiting, (t + LABEL_DELAY_S, place, values, t, is_fraud))
        served.append(featurizer.assemble(rows, logs, times).X)
    return np.concatenate(served)


@pytest.mark.parametrize("history_events", [16, 128])
def test_served_features_equal_replayed_features_on_real_transactions(
    transactions: pd.DataFrame, schema: Schema, history_events: int
) -> None:
    spec = FeatureSpec.from_schema(schema, history_events=history_events)
    served = serve(transactions, spec)
    is_fraud = transactions["TX_FRAUD"].to_numpy(np.float64)
    replayed = assemble_frame(transactions, spec, {}, is_fraud=is_fraud, label_delay_s=LABEL_DELAY_S)
    assert served.shape == (len(transactions), len(spec.columns))
    assert np.array_equal(served, replayed, equal_nan=True)
    busiest = replayed[:, spec.columns.index("customer_count_7d")].max()
    assert busiest == 16 if history_events == 16 else busiest > 30
    assert np.nanmax(replayed[:, spec.columns.index("terminal_fraud_rate_30d")]) > 0
    assert np.nanmax(replayed[:, spec.columns.index("terminal_fraud_streak_90d")]) > 1


def test_an_untimed_reading_of_real_transactions_still_has_every_column(
    transactions: pd.DataFrame, schema: Schema
) -> None:
    spec = FeatureSpec.from_schema(schema)
    X = assemble_frame(
        transactions.drop(columns="TX_DATETIME").head(500),
        spec,
        {},
        is_fraud=None,
        label_delay_s=LABEL_DELAY_S,
    )
    assert X.shape == (500, len(spec.columns))
