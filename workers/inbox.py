"""The reaper: accepted work that is overdue, and whose message cannot be waiting any more, is enqueued again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
import structlog
from celery import Celery, shared_task

from config import names
from config.queue.messages import task_message
from config.queue.server_scripts import register
from config.settings import Settings
from workers import metrics
from workers.background import background_runtime
from workers.ticks import is_superseded

log = structlog.get_logger(__name__)

ENTRIES_PER_CALL = 500
CALLS_PER_RUN = 20
HELD_BACK_S = 5
STAMPS_DIFFER_MS = 1000
# A message without a stamp is not Tollgate's own: it holds entries back for this many times `inbox_overdue_s`, so that
# each gets at most one more message in that time.
UNSTAMPED_PATIENCE = 10

_PREFIX = names.inbox_key("")


@shared_task(name=names.TASK_REAP_INBOX, ignore_result=True, acks_late=True, soft_time_limit=30, time_limit=60)
def reap_inbox() -> None:
    """Look once at everything that is overdue. Two reapers at once do no harm: each entry is handed out once."""
    runtime = background_runtime()
    if not is_superseded(runtime.client):
        Reaper(runtime.client, runtime.app, runtime.settings).run()


class Reaper:
    """Enqueues what is overdue. It counts no attempts: `config.queue.inbox` does, when one begins."""

    def __init__(self, client: redis.Redis, app: Celery, settings: Settings) -> None:
        self._client = client
        self._app = app
        self._overdue_s = settings.inbox_overdue_s
        self._reap = register(client, "reap")
        self._enqueue = register(client, "enqueue")

    def run(self) -> int:
        """Look at up to 10,000 overdue entries, the longest overdue first. Returns how many messages it pushed.

        Raises: RedisError; what was looked at and not pushed is overdue again later.
        """
        pushed = 0
        for _ in range(CALLS_PER_RUN):
            overdue, lost = self._look()
            pushed += self._push(lost)
            if overdue < ENTRIES_PER_CALL:
                break
        if pushed:
            log.warning("accepted_work_overdue", enqueued=pushed)
        return pushed

    def _look(self) -> tuple[int, list[tuple[str, str, str]]]:
        """How many entries were overdue, and `(entry id, task, queue)` of those that have no message."""
        patience_ms = UNSTAMPED_PATIENCE * self._overdue_s * 1000
        args: list[Any] = [
            *(_PREFIX, self._overdue_s, min(self._overdue_s, HELD_BACK_S)),
            *(ENTRIES_PER_CALL, STAMPS_DIFFER_MS, patience_ms),
        ]
        answer: Any = self._reap(keys=[names.INBOX_DUE], args=args)
        overdue, *lost = answer
        return overdue, [(entry.decode(), task.decode(), queue.decode()) for entry, task, queue in lost]

    def _push(self, lost: Sequence[tuple[str, str, str]]) -> int:
        with self._client.pipeline(transaction=False) as pipe:
            for entry_id, task, queue in lost:
                message = task_message(self._app, task, queue).render(entry_id)
                self._enqueue(keys=[names.inbox_key(entry_id), queue], args=[message], client=pipe)
            pushed: list[int] = pipe.execute()
        for (_, _, queue), number in zip(lost, pushed, strict=True):
            metrics.REDELIVERIES.labels(queue, "overdue").inc(number)
        return sum(pushed)
