"""Beat's ticks: of several of one kind that wait, one is done and the others are left out.

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
"""How many of the next messages are looked at: more than beat sends to `ticks` in a minute."""


def is_superseded(client: redis.Redis) -> bool:
    """Whether the task that runs needs not: another message for it is among those that are taken next from its queue.

    Never in `ticks`, whose messages say nothing but their task: there the first takes those behind it out of the queue
    and does the work of all, since a worker may come to this queue for one message at a time. Of a longer queue
    `ticks` only the youngest are kept. False outside of a worker. Raises RedisError.
    """
    request: Any = current_task.request if current_task else None
    if request is None or not request.delivery_info:
        return False
    queue = request.delivery_info["routing_key"]
    # As it stands in the headers, whoever wrote the envelope; the body is in base64.
    name = f'"{request.task}"'.encode()
    if queue == names.QUEUE_TICKS:
        _take_out(client, name)
        return False
    behind: Any = client.lrange(queue, -LOOKED_AT, -1)
    return any(name in message for message in behind)


def _take_out(client: redis.Redis, name: bytes) -> None:
    with client.pipeline(transaction=False) as pipe:
        pipe.ltrim(names.QUEUE_TICKS, 0, LOOKED_AT - 1)
        pipe.lrange(names.QUEUE_TICKS, 0, -1)
        waiting: list[bytes] = pipe.execute()[-1]
        for message in waiting:
            if name in message:
                pipe.lrem(names.QUEUE_TICKS, -1, message.decode())
        pipe.execute()
