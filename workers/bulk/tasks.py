"""The bulk tasks: open a batch, score one chunk of it. A message without a chunk number takes the next one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
import structlog
from celery import shared_task

from config import names
from config.blobs.full_disk import full_disk_named
from config.errors import BlobsUnavailable, LedgerUnavailable, StorageFull
from config.queue.batches import BatchRecord, read_batch
from config.queue.inbox import Claim, reason_of
from config.tracing import linked_span
from workers.bulk.given_up import dead_chunks, fail_batch, resume_batch
from workers.bulk.opening import open_upload
from workers.bulk.runtime import BulkRuntime, bulk_runtime
from workers.bulk.scoring import finish_chunk
from workers.bulk.store import WorkerStopping

log = structlog.get_logger(__name__)

ENTRY_PREFIX = "chunk:"


@shared_task(name=names.TASK_OPEN_BATCH, ignore_result=True, acks_late=True)
def open_batch(entry_id: str) -> None:
    """Read an accepted upload and start its batch. Nothing happens when it is finished already.

    A batch that has started and made no progress comes here again: what it may have lost it gets once more.
    """
    runtime = bulk_runtime()
    if (work := _claim(runtime, entry_id, batch_id=entry_id.partition(":")[2])) is None:
        return
    claim, batch = work
    with linked_span("open batch", parent=batch.traceparent), _settled(runtime, batch, claim):
        if batch.status != "validating":
            for entry in dead_chunks(runtime.scoring.client, batch):
                _fail(runtime, batch, entry)
        open_upload(runtime, batch)


@shared_task(name=names.TASK_SCORE_CHUNK, ignore_result=True, acks_late=True)
def score_chunk(work: str) -> None:
    """Score a chunk. `work`: a batch id, whose next chunk is taken, or the inbox entry of a chunk that was lost."""
    runtime = bulk_runtime()
    runtime.scoring.inbox.hand_back()
    if not work.startswith(ENTRY_PREFIX):
        chunk, batch = runtime.store.claim_chunk(work), read_batch(runtime.scoring.client, work)
        if chunk is not None and batch is not None:
            _finish(runtime, Claim(f"{ENTRY_PREFIX}{work}:{chunk}", b"%s %d" % (work.encode(), chunk), 1, 0), batch)
    elif (claimed := _claim(runtime, work, batch_id=work.split(":")[1])) is not None:
        _finish(runtime, *claimed)


def _finish(runtime: BulkRuntime, claim: Claim, batch: BatchRecord) -> None:
    chunk = int(claim.payload.split()[1])
    with linked_span("chunk", parent=batch.traceparent), _settled(runtime, batch, claim):
        finish_chunk(runtime, batch, chunk, attempt=claim.attempt, was_deferred=claim.deferrals > 0)


@contextmanager
def _settled(runtime: BulkRuntime, batch: BatchRecord, claim: Claim) -> Iterator[None]:
    """What fails inside is this attempt's failure, and the batch's when it was the last one."""
    try:
        with runtime.scoring.inbox.failures_recorded(claim), _put_off(runtime, claim):
            yield
    except Exception:
        # The broker may be what failed: then `open_batch` finds the dead letter, if there is one.
        with suppress(redis.RedisError):
            _fail(runtime, batch, claim.entry_id)
        raise


@contextmanager
def _put_off(runtime: BulkRuntime, claim: Claim) -> Iterator[None]:
    """Files or ledger that are away, a full disk, and a worker that stops while it waits are no failure of the work:
    the attempt does not count, the next one is later.
    """
    try:
        with full_disk_named():
            yield
    except (BlobsUnavailable, LedgerUnavailable, StorageFull, WorkerStopping) as error:
        log.warning("bulk_work_deferred", entry=claim.entry_id, deferrals=claim.deferrals, reason=reason_of(error))
        runtime.scoring.inbox.defer(claim, reason_of(error))


def _claim(runtime: BulkRuntime, entry_id: str, *, batch_id: str) -> tuple[Claim, BatchRecord] | None:
    """The next attempt at accepted work and its batch, which goes on if it had failed; None when there is none."""
    claim = runtime.scoring.inbox.claim(entry_id)
    batch = read_batch(runtime.scoring.client, batch_id)
    if batch is None:
        return None
    if claim is None:
        _fail(runtime, batch, entry_id)
        return None
    return claim, resume_batch(runtime.scoring.client, batch) if batch.status == "failed" else batch


def _fail(runtime: BulkRuntime, batch: BatchRecord, entry_id: str) -> None:
    if status := fail_batch(runtime.scoring.client, runtime.settings, batch, entry_id):
        log.error("batch_gave_up", batch=batch.batch_id, entry=entry_id, status=status)
