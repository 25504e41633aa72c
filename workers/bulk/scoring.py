"""One chunk from its bytes to its files: read, score, store, report, count. Repeatable at every point."""

from __future__ import annotations

import time
from collections.abc import Sequence

from config import names
from config.blobs.choice import blobs_of
from config.queue.batches import BatchFiles, BatchRecord, chunk_entry
from config.tenants import prefix_of
from workers.bulk.chunk import Outcome
from workers.bulk.given_up import resume_batch
from workers.bulk.opening import ALIVE_EVERY_S, every
from workers.bulk.report import write_report
from workers.bulk.rest import rest
from workers.bulk.rows import Row, read_rows
from workers.bulk.runtime import BulkRuntime
from workers.bulk.suspects import Suspects


def finish_chunk(runtime: BulkRuntime, batch: BatchRecord, chunk: int, *, attempt: int, was_deferred: bool) -> None:
    """Score chunk number `chunk` (from 0) of a batch and leave its files.

    `attempt`: from 1; after a failed one the rows are tried one by one. `was_deferred`: one may have come as far as the
    decisions. Raises RedisError, LedgerUnavailable, BlobsUnavailable, WorkerStopping.
    """
    files = BatchFiles.of(blobs_of(runtime.settings), batch.batch_id)
    entry = chunk_entry(batch.batch_id, chunk)
    are_answers_awaited = runtime.store.wait_for_room(every(ALIVE_EVERY_S, lambda: runtime.store.keep_alive(entry)))
    started = time.monotonic()
    rows = read_rows(files, batch.format, chunk, runtime.validator, runtime.settings.max_body_bytes)
    if attempt > 1:
        suspects = Suspects(runtime.scoring.client, names.inbox_key(entry), attempt=attempt)
        with suspects.cleared_unless_killed():
            outcomes = _one_by_one(runtime, batch, rows, entry, suspects)
    else:
        with runtime.scoring.busy():
            outcomes = runtime.scorer.score(batch, rows, is_retry=was_deferred)
    write_report(files, chunk, outcomes, tenant=prefix_of(batch.client))
    refused = sum(outcome.refusal is not None for outcome in outcomes)
    status = runtime.store.finish_chunk(batch, chunk, decided=len(outcomes) - refused, refused=refused)
    if status == "failed":  # for this very chunk, if it was given up while it was at work
        resume_batch(runtime.scoring.client, batch)
    if status == "finalizing" or chunk == 0:
        runtime.store.ask_for_the_ledger()
    if are_answers_awaited:
        rest(worked_s=time.monotonic() - started, times=runtime.settings.bulk_rest)


def _one_by_one(
    runtime: BulkRuntime, batch: BatchRecord, rows: Sequence[Row], entry: str, suspects: Suspects
) -> list[Outcome]:
    alive = every(ALIVE_EVERY_S, lambda: runtime.store.keep_alive(entry))
    outcomes = []
    for row in rows:
        alive()
        if row.number in suspects.given_up:
            outcomes.append(runtime.scorer.bury(batch, row))
            continue
        suspects.begin(row.number)
        with runtime.scoring.busy():
            [outcome] = runtime.scorer.score(batch, [row], is_retry=True)
        outcomes.append(outcome)
    return outcomes
