"""Opening a batch: the upload is unpacked and indexed, then its first chunks are asked for."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from config.blobs.choice import blobs_of
from config.errors import MalformedBatch
from config.queue.batches import BatchFiles, BatchRecord, batch_entry
from workers.bulk.index import build_index
from workers.bulk.runtime import BulkRuntime
from workers.bulk.scrub import scrub_upload
from workers.bulk.unpack import unpack_upload

log = structlog.get_logger(__name__)

ALIVE_EVERY_S = 5.0


def open_upload(runtime: BulkRuntime, batch: BatchRecord) -> str:
    """Read the whole upload once and start the batch, or end it when its rows cannot be told apart.

    Returns the batch's status. Repeatable: a batch that has started before only gets its messages again.
    """
    if batch.status != "validating":
        return runtime.store.start(batch, rows=batch.total, chunks=batch.chunks)
    files = BatchFiles.of(blobs_of(runtime.settings), batch.batch_id)
    alive = every(ALIVE_EVERY_S, lambda: runtime.store.keep_alive(batch_entry(batch.batch_id)))
    try:
        rows, chunks = _read(runtime, batch, files, alive)
    except MalformedBatch as error:
        log.warning("batch_refused", batch=batch.batch_id, reason=error.detail)
        files.remove()
        return runtime.store.start(batch, rows=0, chunks=0, error=(error.code, error.detail))
    return runtime.store.start(batch, rows=rows, chunks=chunks)


def _read(runtime: BulkRuntime, batch: BatchRecord, files: BatchFiles, alive: Callable[[], None]) -> tuple[int, int]:
    settings = runtime.settings
    unpack_upload(
        files,
        batch.format,
        is_gzip=batch.is_gzip,
        max_bytes=settings.bulk_max_unpacked_bytes,
        max_row_bytes=settings.max_body_bytes,
        alive=alive,
    )
    if scrub_upload(files, batch.format, runtime.validator.cards, alive=alive):
        log.warning("card_numbers_removed", batch=batch.batch_id)
    return build_index(
        files,
        batch.format,
        chunk_rows=settings.bulk_chunk_rows,
        max_rows=settings.bulk_max_rows,
        max_row_bytes=settings.max_body_bytes,
        alive=alive,
    )


def every(interval_s: float, call: Callable[[], None]) -> Callable[[], None]:
    """`call`, but at most once per interval."""
    last = time.monotonic()

    def maybe() -> None:
        nonlocal last
        if time.monotonic() - last >= interval_s:
            last = time.monotonic()
            call()

    return maybe
