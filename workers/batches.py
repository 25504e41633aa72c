"""The last step of a batch: it is completed once the ledger has every one of its decisions."""

from __future__ import annotations

from typing import Any

import structlog

from config import names
from config.queue.batches import BatchRecord, read_batch
from config.queue.server_scripts import register
from workers.background import BackgroundRuntime

log = structlog.get_logger(__name__)


def complete_batches(runtime: BackgroundRuntime) -> None:
    """Complete every finalizing batch whose last journal entry has been drained. Raises RedisError."""
    members: Any = runtime.client.smembers(names.BATCHES_FINALIZING)
    if not members:
        return
    script = register(runtime.client, "end_batch")
    for member in members:
        batch = read_batch(runtime.client, member.decode())
        if batch is None:
            runtime.client.srem(names.BATCHES_FINALIZING, member)
        elif _is_in_ledger(runtime, batch) and script(
            keys=[names.batch_key(batch.batch_id), names.BATCHES_FINALIZING, names.open_batches_key(batch.client)],
            args=[batch.batch_id, runtime.settings.bulk_results_ttl_s * 1000],
        ):
            log.info("batch_completed", batch=batch.batch_id, decided=batch.completed, refused=batch.failed)


def _is_in_ledger(runtime: BackgroundRuntime, batch: BatchRecord) -> bool:
    """Entries leave the journal once they are committed: nothing up to the batch's last one may be there."""
    if not batch.journal_id:
        return True
    return not runtime.client.xrange(names.JOURNAL_BULK, "-", batch.journal_id, count=1)
