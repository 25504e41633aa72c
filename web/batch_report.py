"""A batch as it is shown: progress, rate, estimated end, and when to look again."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from config.queue.batches import ENDED, BatchRecord, BatchStatus
from web.shapes.batches import BatchFault, BatchReport, RowCounts

RETRY_AFTER_MAX_S: Final = 60
# Bytes a second that a worker reads of an upload before it knows the rows: enough for a first Retry-After.
VALIDATED_BYTES_PER_S: Final = 50_000_000


def shown_status(record: BatchRecord, now_ms: int) -> BatchStatus:
    """The status now: what has passed its time is expired, whether or not its files were swept already."""
    has_expired = record.status in ENDED and 0 < record.expires_ms <= now_ms
    return "expired" if has_expired else record.status


def report(record: BatchRecord, now_ms: int) -> BatchReport:
    """What GET /batches/{id} says."""
    done = record.completed + record.failed
    remaining_s = estimated_rest_s(record, now_ms)
    return BatchReport(
        id=record.batch_id,
        status=shown_status(record, now_ms),
        request_counts=RowCounts(record.total, record.completed, record.failed),
        progress=round(min(1.0, done / record.total), 4) if record.total else float(record.status == "completed"),
        rows_per_second=_rounded(rows_per_s(record, now_ms)),
        estimated_end_at=_moment(now_ms + int(remaining_s * 1000)) if remaining_s is not None else None,
        created_at=_moment(record.created_ms),
        started_at=_moment(record.started_ms) if record.started_ms else None,
        ended_at=_moment(record.ended_ms) if record.ended_ms else None,
        expires_at=_moment(record.expires_ms) if record.expires_ms else None,
        format=record.format,
        upload_bytes=record.upload_bytes,
        results=f"/batches/{record.batch_id}/results",
        errors=f"/batches/{record.batch_id}/errors",
        error=BatchFault(record.error_code, record.error_detail) if record.error_code else None,
    )


def rows_per_s(record: BatchRecord, now_ms: int) -> float | None:
    """Rows a second from the start of scoring until the end or now; None before the first row."""
    done, took_ms = record.completed + record.failed, (record.ended_ms or now_ms) - record.started_ms
    return done * 1000 / took_ms if record.started_ms and done and took_ms > 0 else None


def estimated_rest_s(record: BatchRecord, now_ms: int) -> float | None:
    """Seconds until every row is done, at the rate so far; None where no rate is known or nothing is left."""
    rate = rows_per_s(record, now_ms)
    if rate is None or record.status != "in_progress":
        return None
    return max(0, record.total - record.completed - record.failed) / rate


def retry_after_s(record: BatchRecord, now_ms: int) -> int:
    """When to look again, 1 to 60 seconds: when the batch should be done, as far as that is known."""
    rest_s = estimated_rest_s(record, now_ms)
    if rest_s is None and record.status == "validating":
        rest_s = record.upload_bytes / VALIDATED_BYTES_PER_S
    return min(RETRY_AFTER_MAX_S, max(1, math.ceil(rest_s or 1)))


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)


def _moment(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
