"""The reaper: accepted work that is overdue is enqueued again, and after its last attempt becomes a dead letter."""

from __future__ import annotations

import structlog
from celery import shared_task

from config import names
from config.queue.server_scripts import register
from workers.background import background_runtime

log = structlog.get_logger(__name__)

ENTRIES_PER_CALL = 500
_PREFIX = names.inbox_key("")
_QUEUES = {names.TASK_SCORE_ACCEPTED: names.QUEUE_SCORE, names.TASK_RECORD_LABEL: names.QUEUE_BACKGROUND}


@shared_task(name=names.TASK_REAP_INBOX, ignore_result=True, acks_late=True, soft_time_limit=30, time_limit=60)
def reap_inbox() -> None:
    """Look once at everything that is overdue. Two reapers at once do no harm: each entry is handed out once."""
    runtime = background_runtime()
    settings = runtime.settings
    reap = register(runtime.client, "reap")
    answers = reap(
        keys=[names.INBOX_DUE, names.DEAD_LETTERS],
        args=[_PREFIX, settings.inbox_overdue_s, settings.inbox_attempts, ENTRIES_PER_CALL],
    )
    for outcome, entry, task in answers:
        entry_id, task_name = entry.decode(), task.decode()
        if outcome == b"dead":
            log.error("dead_letter", entry=entry_id, task=task_name)
        else:
            runtime.app.send_task(task_name, args=(entry_id,), queue=_QUEUES[task_name], ignore_result=True)
            log.warning("accepted_work_overdue", entry=entry_id, task=task_name)
