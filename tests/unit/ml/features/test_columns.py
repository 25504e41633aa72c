"""Columns of a data set are read as requests are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from config.errors import InvalidTransaction
from config.schema.model import Field
from ml.features.columns import read_numbers, read_seconds, read_texts, read_values
from ml.features.history_log import hash_text

MORNING = 1_772_357_400.0  # 2026-03-01T09:30:00Z


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        (pd.Series(pd.to_datetime(["2026-03-01 09:30:00"])), Field("at", "timestamp")),
        (pd.Series(pd.to_datetime(["2026-03-01 10:30:00+01:00"])), Field("at", "timestamp")),
        (pd.Series(["2026-03-01T10:30:00+01:00"]), Field("at", "timestamp")),
        (pd.Series(["2026-03-01 09:30:00"]), Field("at", "timestamp", naive="utc")),
        (pd.Series(["01/03/2026 09:30"]), Field("at", "timestamp", format="%d/%m/%Y %H:%M")),
        (pd.Series([202603010930]), Field("at", "timestamp", format="%Y%m%d%H%M")),
        (pd.Series([MORNING]), Field("at", "timestamp", format="unix")),
        (pd.Series([int(MORNING) * 1000]), Field("at", "timestamp", format="unix", unit="ms")),
    ],
)
def test_times_are_unix_seconds_however_they_are_written(cells: pd.Series, field: Field) -> None:
    assert read_seconds(cells, field).tolist() == [MORNING]


def test_missing_time_is_nan() -> None:
    times = read_seconds(pd.Series(pd.to_datetime(["2026-03-01 09:30:00", None])), Field("at", "timestamp"))
    assert times[0] == MORNING
    assert math.isnan(times[1])


@pytest.mark.parametrize("cells", [["1.5", " 2 ", None, ""], [1.5, 2.0, None, None]])
def test_numbers_may_be_written_as_text(cells: list[Any]) -> None:
    numbers = read_numbers(pd.Series(cells), Field("v", "number"))
    assert np.array_equal(numbers, [1.5, 2.0, math.nan, math.nan], equal_nan=True)


@pytest.mark.parametrize("cells", [[True, False], ["yes", "no"], [1, 0], ["true", "False"]])
def test_truth_values_are_one_and_zero(cells: list[Any]) -> None:
    assert read_numbers(pd.Series(cells), Field("v", "boolean")).tolist() == [1.0, 0.0]


def test_texts_that_read_the_same_are_one_value() -> None:
    texts = read_texts(pd.Series([3, 3.0, "3", "x", None, " "], dtype=object), Field("v", "category"))
    assert texts.values == ("3", "x")
    assert texts.codes.tolist() == [0, 0, 0, 1, -1, -1]
    assert texts.counts().tolist() == [3, 1]


def test_texts_are_kept_as_their_hashes() -> None:
    kept = read_values(pd.Series(["m1", None]), Field("v", "id"))
    assert kept[0] == hash_text("m1")
    assert math.isnan(kept[1])


def test_cell_that_is_no_time_is_refused() -> None:
    with pytest.raises(InvalidTransaction, match="row 1"):
        read_seconds(pd.Series(["2026-03-01T09:30:00Z", "soon"]), Field("at", "timestamp"))
