"""Which task a worker without a model is in, for its heartbeat: a solo pool keeps no time limits, a watchdog does."""

from __future__ import annotations

import time
from typing import Any

from celery import signals

from config.contracts import WorkInHand


class TaskInHand:
    """The task that this process is in. Written by the thread that works, read by the one that reports."""

    def __init__(self) -> None:
        self.work: WorkInHand | None = None

    def follow(self) -> None:
        """From now on `work` says what this process does, and that it may take as long as the task declares."""
        signals.task_prerun.connect(self._begin, weak=False, dispatch_uid=f"{__name__}.begin")
        signals.task_postrun.connect(self._end, weak=False, dispatch_uid=f"{__name__}.end")

    def _begin(self, task: Any, **_signal: Any) -> None:
        self.work = WorkInHand(task.name, time.time(), float(task.time_limit or 0))

    def _end(self, **_signal: Any) -> None:
        self.work = None
