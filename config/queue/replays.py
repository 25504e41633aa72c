"""A replay of one decision that somebody asked for: what it is and what came of it. A record each, for an hour."""

from __future__ import annotations

from typing import Any, Final, Literal
from uuid import uuid4

import msgspec
import redis

from config import names
from config.queue.messages import TaskMessage

LIFETIME_S: Final = 3600


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`result`: a `ml.replay.report.Replayed` in JSON types, once `status` is "done". `detail`: why it failed."""

    replay_id: str
    decision_id: str
    status: Literal["queued", "done", "failed"] = "queued"
    result: dict[str, Any] | None = None
    detail: str = ""


def ask_for_replay(client: redis.Redis, message: TaskMessage, decision_id: str) -> ReplayRequest:
    """Keep the request and push its message, both or neither. Raises RedisError."""
    request = ReplayRequest(replay_id=uuid4().hex, decision_id=decision_id)
    clock: Any = client.time()
    enqueued_ms = clock[0] * 1000 + clock[1] // 1000
    with client.pipeline(transaction=True) as pipe:
        pipe.set(names.replay_key(request.replay_id), msgspec.json.encode(request), ex=LIFETIME_S)
        pipe.lpush(message.queue, message.render(request.replay_id, enqueued_ms=enqueued_ms))
        pipe.execute()
    return request


def write_replay(client: redis.Redis, request: ReplayRequest) -> None:
    """Keep what came of a request. Raises RedisError."""
    client.set(names.replay_key(request.replay_id), msgspec.json.encode(request), ex=LIFETIME_S)


def read_replay(client: redis.Redis, replay_id: str) -> ReplayRequest | None:
    """The request with this id. Raises RedisError."""
    stored = client.get(names.replay_key(replay_id))
    return msgspec.json.decode(stored, type=ReplayRequest) if stored else None
