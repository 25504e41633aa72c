"""Batches whose time is over become `expired` and lose their files; files that belong to no batch go too."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import redis

from config import names
from config.queue.batches import BatchFiles, BatchRecord, batch_entry, batch_of
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
    until = time.monotonic() + REMOVE_FOR_S
    now_ms = client.time()[0] * 1000
    for batch_id in takewhile(lambda _: time.monotonic() < until, _over(client, now_ms)):
        if _expire(client, settings, batch_id, now_ms):
            _remove(BatchFiles.of(settings.blob_dir, batch_id).directory)
            expired += 1
    return {"batches_expired": expired}


def remove_orphans(runtime: BackgroundRuntime) -> dict[str, int]:
    """Remove directories without a batch that nothing was written into for a day. Raises RedisError, OSError."""
    until, removed = time.monotonic() + REMOVE_FOR_S, 0
    for path in takewhile(lambda _: time.monotonic() < until, _old_directories(runtime.settings)):
        if not _is_kept(runtime.client, path.name):
            _remove(path)
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
        record = batch_of(stored) if stored else None
        if record is not None and not _is_over(record, now_ms):
            return False
        pipe.multi()
        if record is None:
            pipe.zrem(names.BATCHES, batch_id)
        else:
            _write_expired(pipe, settings, record, now_ms)
        try:
            pipe.execute()
        except redis.WatchError:
            return False
    return record is not None


def _is_over(record: BatchRecord, now_ms: int) -> bool:
    return record.status != "expired" and 0 < record.expires_ms <= now_ms


def _write_expired(pipe: Any, settings: Settings, record: BatchRecord, now_ms: int) -> None:
    key, entry = names.batch_key(record.batch_id), batch_entry(record.batch_id)
    pipe.hset(key, mapping={"status": "expired", "ended_ms": record.ended_ms or now_ms})
    pipe.expire(key, settings.bulk_results_ttl_s)
    pipe.srem(names.open_batches_key(record.client), record.batch_id)
    pipe.srem(names.BATCHES_FINALIZING, record.batch_id)
    pipe.zrem(names.INBOX_DUE, entry)
    pipe.delete(names.inbox_key(entry))


def _old_directories(settings: Settings) -> Iterator[Path]:
    parent = BatchFiles.of(settings.blob_dir, "any").directory.parent
    since = time.time() - ORPHANED_AFTER_S
    return (path for path in (parent.iterdir() if parent.is_dir() else ()) if _written_at(path) < since)


def _written_at(directory: Path) -> float:
    """When something in it was last written, or now when it is gone already."""
    try:
        return max(path.stat().st_mtime for path in (directory, *directory.iterdir()))
    except (FileNotFoundError, NotADirectoryError):
        return time.time()


def _is_kept(client: redis.Redis, batch_id: str) -> bool:
    stored: Any = client.hget(names.batch_key(batch_id), "status")
    return stored is not None and stored != b"expired"


def _remove(directory: Path) -> None:
    """Remove a directory; another process may be at it too."""
    shutil.rmtree(directory, ignore_errors=True)
