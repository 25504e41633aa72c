"""How long a batch will take, and when to ask again."""

from __future__ import annotations

from typing import Any

import pytest

from config.queue.batches import BatchRecord
from web.batch_report import report, retry_after_s


def record(**changed: Any) -> BatchRecord:
    known: dict[str, Any] = {
        "batch_id": "b",
        "client": "c",
        "status": "in_progress",
        "format": "csv",
        "is_gzip": False,
        "upload_bytes": 10,
        "created_ms": 1_000_000,
        "started_ms": 1_000_000,
    }
    return BatchRecord(**(known | changed))


def test_the_estimate_follows_the_rate_so_far() -> None:
    half_done = record(total=1000, completed=400, failed=100)

    shown = report(half_done, now_ms=1_010_000)

    assert (shown.progress, shown.rows_per_second) == (0.5, 50.0)
    assert shown.estimated_end_at == "1970-01-01T00:17:00.000Z"
    assert retry_after_s(half_done, 1_010_000) == 10


@pytest.mark.parametrize(
    ("changed", "wait_s"),
    [
        ({"status": "validating", "started_ms": 0, "upload_bytes": 1}, 1),
        ({"status": "validating", "started_ms": 0, "upload_bytes": 10**12}, 60),
        ({"total": 10**9, "completed": 10}, 60),
        ({"status": "finalizing", "total": 10, "completed": 10}, 1),
        ({"total": 10}, 1),
    ],
)
def test_retry_after_stays_between_a_second_and_a_minute(changed: dict[str, Any], wait_s: int) -> None:
    assert retry_after_s(record(**changed), 1_010_000) == wait_s
