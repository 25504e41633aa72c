"""How often drift checks cry wolf on traffic that does not change, and how soon they see what does change.

docs/adr/0018-drift-tests.md has the figures of more runs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from ml.drift.check import FALSE_ALARM_RATE
from tests.drift_traffic import TRAINED_DAYS, Change, simulate

PER_DAY = 1100
CHANGES_ON = 90.0

pytestmark = pytest.mark.slow


def test_unchanged_traffic_raises_no_more_alarms_than_stated() -> None:
    checks = [
        report
        for seed in (0, 1)
        for report in simulate(seed=seed, days=140, per_day=PER_DAY).checks(np.arange(TRAINED_DAYS + 1, 140.0))
    ]

    alarms = sum(report.status != "stable" for report in checks)

    assert len(checks) == 118
    assert binom.sf(alarms - 1, len(checks), FALSE_ALARM_RATE) > 0.001, f"{alarms} of {len(checks)}"


def doubled_amounts(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(amount=2 * frame["amount"])


def unknown_categories(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(merchant_category=frame["merchant_category"].mask(rng.random(len(frame)) < 0.2, "crypto"))


def lost_categories(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(merchant_category=frame["merchant_category"].mask(rng.random(len(frame)) < 0.2))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (doubled_amounts, "amount: distribution"),
        (unknown_categories, "merchant_category: distribution, unknown"),
        (lost_categories, "merchant_category: distribution, missing"),
    ],
)
def test_what_changes_is_seen_within_a_day_and_named(change: Change, expected: str) -> None:
    traffic = simulate(seed=3, days=95, per_day=PER_DAY, changes_on=CHANGES_ON, change=change)

    before = list(traffic.checks(CHANGES_ON - np.arange(3.0)))
    after = list(traffic.checks(CHANGES_ON + np.arange(1, 25) / 24))

    assert [report.status for report in before] == ["stable"] * 3
    assert after[-1].status in ("drifting", "strong")
    assert expected in after[-1].detail
