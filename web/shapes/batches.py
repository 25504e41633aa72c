"""Batches, their results and their errors."""

from __future__ import annotations

import msgspec

from config.contracts import Decision
from config.queue.batches import BatchFormat, BatchStatus


class RowCounts(msgspec.Struct, frozen=True):
    """Rows of a batch. `total` is 0 until the upload has been read; `failed` are those that were refused."""

    total: int
    completed: int
    failed: int


class BatchFault(msgspec.Struct, frozen=True):
    """Why a whole batch failed."""

    code: str
    detail: str


class BatchReport(msgspec.Struct, frozen=True):
    """Where a batch stands.

    `progress`: share of its rows that are done, 0 to 1. `results` and `errors`: where they can be read, from when the
    batch has ended until `expires_at`; errors also before, for the part that is done.
    """

    id: str
    status: BatchStatus
    request_counts: RowCounts
    progress: float
    rows_per_second: float | None
    estimated_end_at: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    expires_at: str | None
    format: BatchFormat
    upload_bytes: int
    results: str
    errors: str
    error: BatchFault | None


class BatchPage(msgspec.Struct, frozen=True):
    """Batches, newest first. `next`: where the following page is, None at the end."""

    batches: list[BatchReport]
    next: str | None


class ResultRow(Decision, frozen=True, kw_only=True):
    """One line of a batch's results. `row`: place in the upload, from 1; `replayed`: it was decided before."""

    row: int
    replayed: bool


class RowError(msgspec.Struct, frozen=True):
    """One thing wrong with a row."""

    field: str | None
    code: str
    reason: str


class ErrorRow(msgspec.Struct, frozen=True):
    """One line of a batch's errors: a row that was refused, where it is, and everything that is wrong with it."""

    row: int
    line: int
    transaction_id: str | None
    code: str
    field: str | None
    reason: str
    errors: list[RowError]
