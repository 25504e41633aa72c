"""Beat's ticks: of several of one kind that wait, the last is done and the others are left out.

After an outage a queue holds thousands of them. Celery's `expires` is not for that: it is a time on the publisher's
clock, held against the worker's, and a worker whose clock was ten seconds ahead never drained the journal. No clock is
asked here.
"""

from __future__ import annotations

from typing import Any

import redis
from celery import current_task

from config import names

LOOKED_AT = 256
"""How many of the next messages are looked at: more than beat sends to `ticks` in a minute, its longest interval."""


def is_superseded(client: redis.Redis) -> bool:
    """Whether the task that runs needs not: another message for it is among those that are taken next from its queue.

    False outside of a worker. Of a longer queue `ticks` only its end is kept. Raises RedisError.
    """
    request: Any = current_task.request if current_task else None
    if request is None or not request.delivery_info:
        return False
    # As it stands in the headers, whoever wrote the envelope; the body is in base64.
    name = f'"{request.task}"'.encode()
    return any(name in message for message in _behind(client, request.delivery_info["routing_key"]))


def _behind(client: redis.Redis, queue: str) -> list[bytes]:
    with client.pipeline(transaction=False) as pipe:
        if queue == names.QUEUE_TICKS:  # nothing else is in it, and the youngest are of every kind
            pipe.ltrim(queue, 0, LOOKED_AT - 1)
        pipe.lrange(queue, -LOOKED_AT, -1)
        behind: list[bytes] = pipe.execute()[-1]
    return behind
