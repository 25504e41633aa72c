"""What the broker keeps about one entity, removed: its history and its labels. Called by `tollgate forget`."""

from __future__ import annotations

from typing import Any

import redis

from config import names


def forget_history(client: redis.Redis, entity: str, records: tuple[str, ...], value: str) -> int:
    """Delete the logs of one entity; returns how many there were. `records`: what is kept per event.

    Raises RedisError.
    """
    deleted: Any = client.delete(names.history_key(entity, records, value), names.labels_key(entity, value))
    return int(deleted)


def on_their_way(client: redis.Redis) -> int:
    """Journal entries that the ledger does not have yet, and accepted work without a result. Raises RedisError."""
    waiting: list[Any] = [client.xlen(names.JOURNAL), client.xlen(names.JOURNAL_BULK), client.zcard(names.INBOX_DUE)]
    return sum(int(count) for count in waiting)
