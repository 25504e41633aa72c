"""The bulk tasks: open a batch, score one chunk of it. A message without a chunk number takes the next one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from celery import shared_task

from config import names
from config.errors import BlobsUnavailable, LedgerUnavailable
from config.queue.batches import BatchRecord, read_batch
from config.queue.inbox import Claim
from config.tracing import linked_span
from workers.bulk.opening import open_upload
from workers.bulk.runtime import BulkRuntime, bulk_runtime
from workers.bulk.scoring import finish_chunk

log = structlog.get_logger(__name__)

ENTRY_PREFIX = "chunk:"


@shared_task(name=names.TASK_OPEN_BATCH, ignore_result=True, acks_late=True)
def open_batch(entry_id: str) -> None:
    """Read an accepted upload and start its batch. Nothing happens when it is finished already."""
    runtime = bulk_runtime()
    if (claim := _claim(runtime, entry_id, batch_id=entry_id.partition(":")[2])) is None:
        return
    batch = read_batch(runtime.scoring.client, claim.payload.decode())
    if batch is not None:
        with (
            linked_span("open batch", parent=batch.traceparent),
            runtime.scoring.inbox.failures_recorded(claim),
            _stores_awaited(runtime, claim),
        ):
            open_upload(runtime, batch)


@shared_task(name=names.TASK_SCORE_CHUNK, ignore_result=True, acks_late=True)
def score_chunk(work: str) -> None:
    """Score a chunk. `work`: a batch id, whose next chunk is taken, or the inbox entry of a chunk that was lost."""
    runtime = bulk_runtime()
    if not work.startswith(ENTRY_PREFIX):
        if (chunk := runtime.store.claim_chunk(work)) is not None:
            _finish(runtime, Claim(f"{ENTRY_PREFIX}{work}:{chunk}", b"%s %d" % (work.encode(), chunk), 1, 0))
    elif (claim := _claim(runtime, work, batch_id=work.split(":")[1])) is not None:
        _finish(runtime, claim)


def _finish(runtime: BulkRuntime, claim: Claim) -> None:
    batch_id, chunk = claim.payload.decode().split()
    batch = read_batch(runtime.scoring.client, batch_id)
    if batch is not None:
        with (
            linked_span("chunk", parent=batch.traceparent),
            runtime.scoring.inbox.failures_recorded(claim),
            _stores_awaited(runtime, claim),
        ):
            finish_chunk(runtime, batch, int(chunk), attempt=claim.attempt, was_deferred=claim.deferrals > 0)


@contextmanager
def _stores_awaited(runtime: BulkRuntime, claim: Claim) -> Iterator[None]:
    """Files or ledger that are away are no failure of the work: the attempt does not count, the next one is later."""
    try:
        yield
    except (BlobsUnavailable, LedgerUnavailable) as error:
        log.warning(
            "bulk_work_deferred", code=error.code, entry=claim.entry_id, deferrals=claim.deferrals, detail=error.detail
        )
        runtime.scoring.inbox.defer(claim, error.detail)


def _claim(runtime: BulkRuntime, entry_id: str, *, batch_id: str) -> Claim | None:
    """The next attempt at accepted work; None when there is none. A batch with a dead letter has failed."""
    claim = runtime.scoring.inbox.claim(entry_id)
    if claim is None and runtime.scoring.client.zscore(names.DEAD_LETTERS, entry_id) is not None:
        _fail(runtime, read_batch(runtime.scoring.client, batch_id), entry_id)
    return claim


def _fail(runtime: BulkRuntime, batch: BatchRecord | None, entry_id: str) -> None:
    if batch is not None and batch.status in ("validating", "in_progress"):
        detail = f"{entry_id} was given up; an operator can replay it from the dead letters"
        runtime.store.end(batch, was=batch.status, becomes="failed", error=("dead_letter", detail))
        log.error("batch_failed", batch=batch.batch_id, entry=entry_id)
