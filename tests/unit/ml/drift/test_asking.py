"""A challenger is asked for on lasting evidence, and not again and again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from ml.drift.asking import should_ask
from ml.ledger.drift_reports import StoredDriftReport
from tests.drift_traffic import ABOUT

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def stored(hours_ago: int, status: Any, *, digest: str = "d", has_asked: bool = False) -> StoredDriftReport:
    report = msgspec.structs.replace(ABOUT, status=status, model_digest=digest)
    return StoredDriftReport(100 - hours_ago, NOW - timedelta(hours=hours_ago), has_asked, report)


@pytest.mark.parametrize(
    ("newest", "asks"),
    [
        ([], False),
        ([stored(1, "strong")], True),
        ([stored(1, "drifting"), stored(2, "strong")], False),
        ([stored(1, "strong", digest="old")], False),
        ([stored(1, "strong", has_asked=True)], False),
        ([stored(1, "strong"), stored(30, "strong", has_asked=True)], True),
        ([stored(1, "strong"), stored(2, "strong", digest="old", has_asked=True)], True),
    ],
    ids=["first", "second", "passed", "other bundle", "asked", "asked long ago", "asked about another"],
)
def test_two_strong_checks_in_a_row_ask_once_per_window(newest: list[StoredDriftReport], asks: bool) -> None:
    assert should_ask("d", newest, not_since=NOW - timedelta(days=1)) is asks
