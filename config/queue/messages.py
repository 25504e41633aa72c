"""Celery messages as Tollgate pushes them: kombu writes the envelope once, each send fills in the rest.

kombu's publish costs 250 us and holds the GIL; this costs about 10, and a server-side script can push the message
together with what it is about. The envelope is not spelled here: one message is published through kombu into a channel
that keeps it, and `render` replaces the task id, the reply addresses, the stamp and the body.
`tests/unit/config/test_messages.py` compares the result with a real publish, field by field.

Every message carries the header `enqueued_ms`: when it was pushed, Unix ms on the server's clock. The reaper and the
age of a queue read it.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from contextlib import suppress
from functools import lru_cache
from typing import Any
from uuid import uuid4

import redis
from celery import Celery
from celery.signals import before_task_publish
from kombu.transport.virtual import Channel as VirtualChannel

from config.queue.clock import ServerClock
from config.queue.stamps import ENQUEUED_HEADER

MEASURE_CLOCK_EVERY_S = 10.0
_BODY_TAIL = ',{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]'
# As json.dumps writes it below; accept.lua, enqueue.lua and replay.lua replace the same text.
_UNSTAMPED = f'"{ENQUEUED_HEADER}":0'


class TaskMessage:
    """Renders messages of one task, ready to LPUSH on its queue."""

    def __init__(self, app: Celery, task: str, queue: str) -> None:
        self.task = task
        self.queue = queue
        self._before_body, self._after_body = _split_envelope(app, task, queue)

    def render(self, argument: str, *, enqueued_ms: int = 0) -> str:
        """The message that calls the task with one string argument; a new task id each time.

        `enqueued_ms`: now, on the server's clock; 0 leaves the stamp to the script that pushes the message.
        """
        body = b64encode(f"[[{json.dumps(argument)}]{_BODY_TAIL}".encode()).decode("ascii")
        task_id = uuid4().hex
        after = task_id.join(self._after_body)
        if enqueued_ms:
            after = after.replace(_UNSTAMPED, f'"{ENQUEUED_HEADER}":{enqueued_ms}', 1)
        return f"{task_id.join(self._before_body)}{body}{after}"


@lru_cache(maxsize=64)
def task_message(app: Celery, task: str, queue: str) -> TaskMessage:
    """The `TaskMessage` of a task, made once per process."""
    return TaskMessage(app, task, queue)


class PublishStamp:
    """Stamps what this process publishes through Celery itself: beat's ticks, and a task that sends another."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._clock = ServerClock()
        self._measure_at = 0.0

    def connect(self) -> None:
        """Stamp every publish of this process from now on."""
        before_task_publish.connect(self._stamp, weak=False, dispatch_uid=ENQUEUED_HEADER)

    def _stamp(self, headers: dict[str, Any], **_signal: Any) -> None:
        headers.setdefault(ENQUEUED_HEADER, self._now_ms())

    def _now_ms(self) -> int:
        if time.monotonic() >= self._measure_at:
            # A server that does not answer will not take the message either.
            with suppress(redis.RedisError):
                self._clock.measure(self._client)
                self._measure_at = time.monotonic() + MEASURE_CLOCK_EVERY_S
        return self._clock.now_ms()


def capture_envelope(app: Celery, task: str, queue: str, task_id: str) -> dict[str, Any]:
    """The message that kombu itself would LPUSH for `task`, taken from a channel that keeps what it is given."""
    kept: list[dict[str, Any]] = []
    with app.connection_for_write("memory://", transport="memory") as connection:
        channel: VirtualChannel = connection.default_channel
        channel._put = lambda _queue, message, **_kwargs: kept.append(message)  # type: ignore[method-assign]
        with app.amqp.Producer(channel) as producer:
            app.send_task(
                task,
                args=("",),
                task_id=task_id,
                queue=queue,
                producer=producer,
                headers={ENQUEUED_HEADER: 0},
                argsrepr="",
                kwargsrepr="",
                ignore_result=True,
            )
    return kept[0]


def _split_envelope(app: Celery, task: str, queue: str) -> tuple[list[str], list[str]]:
    """The envelope's text before and after the body, each split where the task id belongs."""
    task_id, body = uuid4().hex, uuid4().hex
    envelope = capture_envelope(app, task, queue, task_id)
    envelope["body"] = body
    # The delivery tag must be unique per message: the worker's unacknowledged set is keyed by it.
    envelope["properties"]["delivery_tag"] = task_id
    before, after = json.dumps(envelope, separators=(",", ":")).split(body)
    return before.split(task_id), after.split(task_id)
