"""Batches whose time is over become `expired` and lose their files; files that belong to no batch go too.

Their dead letters go with them: without the files they cannot be replayed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count, takewhile
from typing import Any

import redis

from config import names
from config.blobs.choice import blobs_of
from config.queue.batches import BATCHES_FOLDER, BatchFiles, BatchRecord, batch_entry, batch_of
from config.settings import Settings
from workers.background import BackgroundRuntime

BATCHES_PER_PAGE = 1000
REMOVE_FOR_S = 3.0
ORPHANED_AFTER_S = 86_400.0


def expire_batches(runtime: BackgroundRuntime) -> dict[str, int]:
    """Expire the batches past their `expires_ms`, the oldest first, and remove their directories.

    The record says `expired` for as long again, then it goes as well. Raises RedisError, OSError.
    """
    client, settings, expired = runtime.client, runtime.settings, 0
    blobs = blobs_of(settings)
    until = time.monotonic() + REMOVE_FOR_S
    now_ms = client.time()[0] * 1000
    for batch_id in takewhile(lambda _: time.monotonic() < until, _over(client, now_ms)):
        if _expire(client, settings, batch_id, now_ms):
            BatchFiles.of(blobs, batch_id).remove()
            expired += 1
    return {"batches_expired": expired}


def remove_orphans(runtime: BackgroundRuntime) -> dict[str, int]:
    """Remove directories without a batch that nothing was written into for a day. Raises RedisError, OSError."""
    until, removed = time.monotonic() + REMOVE_FOR_S, 0
    blobs, since_s = blobs_of(runtime.settings), time.time() - ORPHANED_AFTER_S
    for folder in takewhile(lambda _: time.monotonic() < until, blobs.folders(BATCHES_FOLDER)):
        if folder.written_at_s < since_s and not _is_kept(runtime.client, folder.name):
            BatchFiles.of(blobs, folder.name).remove()
            removed += 1
    return {"batch_directories": removed}


def _over(client: redis.Redis, now_ms: int) -> Iterator[str]:
    """The batches whose time is over or whose record is gone, as of a moment ago."""
    for start in count(0, BATCHES_PER_PAGE):
        members: Any = client.zrange(names.BATCHES, start, start + BATCHES_PER_PAGE - 1)
        pipe = client.pipeline(transaction=False)
        for member in members:
            pipe.hmget(names.batch_key(member.decode()), "status", "expires_ms")
        for member, (status, expires_ms) in zip(members, pipe.execute(), strict=True):
            if status is None or (status != b"expired" and 0 < int(expires_ms or 0) <= now_ms):
                yield member.decode()
        if len(members) < BATCHES_PER_PAGE:
            return


def _expire(client: redis.Redis, settings: Settings, batch_id: str, now_ms: int) -> bool:
    """Whether this call expired the batch. A record that changes meanwhile is left to the next tick."""
    key = names.batch_key(batch_id)
    with client.pipeline(transaction=True) as pipe:
        pipe.watch(key)
        stored: Any = pipe.hgetall(key)
        dead: Any = pipe.smembers(names.dead_chunks_key(batch_id))
        record = batch_of(stored) if stored else None
        if record is not None and not _is_over(record, now_ms):
            return False
        pipe.multi()
        if record is None:
            pipe.zrem(names.BATCHES, batch_id)
        else:
            _write_expired(pipe, settings, record, now_ms)
            _forget_work(pipe, batch_id, [batch_entry(batch_id), *(entry.decode() for entry in dead)])
        try:
            pipe.execute()
        except redis.WatchError:
            return False
    return record is not None


def _is_over(record: BatchRecord, now_ms: int) -> bool:
    return record.status != "expired" and 0 < record.expires_ms <= now_ms


def _write_expired(pipe: Any, settings: Settings, record: BatchRecord, now_ms: int) -> None:
    key = names.batch_key(record.batch_id)
    pipe.hset(key, mapping={"status": "expired", "ended_ms": record.ended_ms or now_ms})
    pipe.expire(key, settings.bulk_results_ttl_s)
    pipe.srem(names.open_batches_key(record.client), record.batch_id)
    pipe.srem(names.BATCHES_FINALIZING, record.batch_id)


def _forget_work(pipe: Any, batch_id: str, entries: Sequence[str]) -> None:
    pipe.delete(names.dead_chunks_key(batch_id), *map(names.inbox_key, entries))
    pipe.zrem(names.INBOX_DUE, *entries)
    pipe.zrem(names.DEAD_LETTERS, *entries)


def _is_kept(client: redis.Redis, batch_id: str) -> bool:
    stored: Any = client.hget(names.batch_key(batch_id), "status")
    return stored is not None and stored != b"expired"
