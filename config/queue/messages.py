"""The Celery message that a web process pushes: kombu writes the envelope once, each send fills in the rest.

kombu's publish costs 250 us and holds the GIL; this costs about 10. The envelope is not spelled here: at start one
message is published through kombu into a channel that keeps it, and `render` replaces the task id, the reply
addresses and the body. `tests/unit/config/test_messages.py` compares the result with a real publish, field by field.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu.transport.virtual import Channel as VirtualChannel

_BODY_TAIL = ',{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]'


class TaskMessage:
    """Renders messages of one task, ready to LPUSH on its queue."""

    def __init__(self, app: Celery, task: str, queue: str) -> None:
        self.task = task
        self.queue = queue
        self._before_body, self._after_body = _split_envelope(app, task, queue)

    def render(self, argument: str) -> str:
        """The message that calls the task with one string argument; a new task id each time."""
        body = b64encode(f"[[{json.dumps(argument)}]{_BODY_TAIL}".encode()).decode("ascii")
        task_id = uuid4().hex
        return f"{task_id.join(self._before_body)}{body}{task_id.join(self._after_body)}"


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
