"""What becomes of a batch when its work is given up, and when an operator replays that. Raises RedisError.

Each script may be repeated safely; `config/queue/lua` says what it promises.
"""

from __future__ import annotations

from typing import Any

import redis

from config import names
from config.queue.batches import BatchRecord, batch_entry, chunk_entry, read_batch
from config.queue.server_scripts import register
from config.settings import Settings


def fail_batch(client: redis.Redis, settings: Settings, batch: BatchRecord, entry: str) -> str:
    """If inbox entry `entry` of a batch is a dead letter, the batch has failed, or is cancelled where it was to be.

    Returns the status that it came to by this call, or "".
    """
    detail = f"{entry} was given up; an operator can replay it from the dead letters"
    own_entry, lifetime_ms = batch_entry(batch.batch_id), settings.bulk_results_ttl_s * 1000
    args: list[Any] = [batch.batch_id, entry, own_entry, names.inbox_key(""), lifetime_ms, detail]
    status: Any = register(client, "fail_batch")(keys=_keys(batch), args=args)
    return str(status.decode())


def resume_batch(client: redis.Redis, batch: BatchRecord) -> BatchRecord:
    """Have a batch go on that had failed for dead letters, if all of them were replayed. Returns it as it is then."""
    own_entry = batch_entry(batch.batch_id)
    args = [batch.batch_id, own_entry, names.inbox_key(""), names.TASK_OPEN_BATCH, names.QUEUE_BULK]
    register(client, "resume_batch")(keys=_keys(batch), args=args)
    return read_batch(client, batch.batch_id) or batch


def dead_chunks(client: redis.Redis, batch: BatchRecord) -> list[str]:
    """The inbox entries of a batch's chunks that are dead letters."""
    letters: Any = client.zrange(names.DEAD_LETTERS, 0, -1)
    entries = {chunk_entry(batch.batch_id, chunk).encode() for chunk in range(batch.next_chunk)}
    return [entry.decode() for entry in letters if entry in entries]


def _keys(batch: BatchRecord) -> list[str]:
    return [
        names.batch_key(batch.batch_id),
        names.dead_chunks_key(batch.batch_id),
        names.open_batches_key(batch.client),
        names.inbox_key(batch_entry(batch.batch_id)),
        names.INBOX_DUE,
    ]
