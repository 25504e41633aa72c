"""Calendar parts against Python's own datetime."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.features import calendar_parts
from ml.features.calendar_parts import calendar_features, calendar_part

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.floats(-62_135_596_800.0, 253_402_300_799.0))
def test_parts_agree_with_datetime(t: float) -> None:
    moment = EPOCH + timedelta(seconds=math.floor(t))
    assert calendar_part(calendar_parts.HOUR, t) == moment.hour
    assert calendar_part(calendar_parts.DAY_OF_WEEK, t) == moment.weekday()
    assert calendar_part(calendar_parts.IS_WEEKEND, t) == float(moment.weekday() >= 5)
    assert calendar_part(calendar_parts.IS_NIGHT, t) == float(moment.hour <= 6)
    assert calendar_part(calendar_parts.DAY_OF_MONTH, t) == moment.day
    assert calendar_part(calendar_parts.MONTH, t) == moment.month


@pytest.mark.parametrize("t", [math.nan, math.inf, 1e13, -1e13])
def test_time_that_is_no_date_has_no_hour(t: float) -> None:
    assert math.isnan(calendar_part(calendar_parts.HOUR, t))


def test_value_that_was_sent_stays() -> None:
    X = np.array([[5.0], [math.nan]])
    calendar_features(np.array([3600.0, 7200.0]), np.array([[calendar_parts.HOUR, 0]]), X)
    assert X.tolist() == [[5.0], [2.0]]
