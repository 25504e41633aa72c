"""How messages reach a worker: how long they waited in their queue, and whether somebody had them before."""

from __future__ import annotations

from typing import Any

from celery import signals

from config.queue.clock import ServerClock
from config.queue.stamps import ENQUEUED_HEADER
from workers import metrics


def count(clock: ServerClock | None = None) -> None:
    """Count every message that this process begins, from now on.

    `clock`: the broker's, in a worker that scores: the wait in the queue is a stage there.
    """

    def note(task: Any, **_signal: Any) -> None:
        note_delivery(task.request, clock)

    signals.task_prerun.connect(note, weak=False, dispatch_uid=__name__)


def note_delivery(request: Any, clock: ServerClock | None) -> None:
    """Count one message. `request`: Celery's request of the task that begins."""
    delivery: dict[str, Any] = request.delivery_info or {}
    if delivery.get("redelivered"):
        metrics.REDELIVERIES.labels(delivery.get("routing_key"), "unacknowledged").inc()
    pushed_ms = request.get(ENQUEUED_HEADER)
    if clock is not None and isinstance(pushed_ms, int) and pushed_ms:
        metrics.observe_stage("queue", (clock.now_ms() - pushed_ms) / 1000)
