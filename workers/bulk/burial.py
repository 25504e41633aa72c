"""Rows of a batch that cannot be scored: each is kept among the dead letters, where an operator can replay it."""

from __future__ import annotations

from typing import Any

import msgspec
import redis

from config import names
from config.contracts import ScoreRow


def bury(client: redis.Redis, row: ScoreRow, failure: str, *, attempts: int) -> None:
    """Keep a row, and what it saw for as long. `attempts`: how many it counts as having used up. Raises RedisError.

    What is in the inbox under its id was accepted by itself, or is kept already, and stays.
    """
    now_s: int = client.time()[0]
    entry_id, seen_key = names.transaction_entry(row.transaction_id), names.seen_key(row.transaction_id)
    letter = names.inbox_key(entry_id)

    def keep(pipe: redis.client.Pipeline) -> None:
        if pipe.exists(letter):
            return
        seen: Any = pipe.get(seen_key)
        pipe.multi()
        pipe.hset(letter, mapping=_fields(row, failure, now_s, attempts))
        pipe.zadd(names.DEAD_LETTERS, {entry_id: now_s})
        if seen:
            pipe.set(seen_key, seen)

    client.transaction(keep, letter, seen_key)


def _fields(row: ScoreRow, failure: str, now_s: int, attempts: int) -> Any:
    """As `accept.lua` would have written it: a scoring worker can score it by itself."""
    return {
        "digest": row.digest,
        "payload": msgspec.json.encode(row),
        "task": names.TASK_SCORE_ACCEPTED,
        "queue": names.QUEUE_ACCEPTED,
        "accepted_s": now_s,
        "enqueued_ms": now_s * 1000,
        "dead_ms": now_s * 1000,
        "attempts": attempts,
        "failure": failure,
    }
