"""Which task a worker's log lines belong to: its id, from the message that began it."""

from __future__ import annotations

from typing import Any

from celery import signals

from config.log_context import begin_task


def name_tasks() -> None:
    """From now on every line that a task logs carries its `task_id`."""
    signals.task_prerun.connect(_begin, dispatch_uid=f"{__name__}.begin")
    signals.task_postrun.connect(_end, dispatch_uid=f"{__name__}.end")


def _begin(task_id: str, **_signal: Any) -> None:
    begin_task(task_id)


def _end(**_signal: Any) -> None:
    begin_task("")
