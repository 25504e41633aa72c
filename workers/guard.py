"""The guard on beat: a canary or a new champion that breaks a guardrail is undone. No science is loaded."""

from __future__ import annotations

import structlog
from celery import shared_task

from config import names
from ml.promotion.desk import Desk
from ml.promotion.watching import watch_challenger
from workers import metrics
from workers.background import background_runtime
from workers.model_jobs import now, tell_workers
from workers.model_swaps import tell_everybody
from workers.ticks import is_superseded

log = structlog.get_logger(__name__)


@shared_task(name=names.TASK_WATCH_CHALLENGER, ignore_result=True, acks_late=True, soft_time_limit=30, time_limit=60)
def watch() -> None:
    """Look once. Safe to repeat: each action undoes its own reason."""
    runtime = background_runtime()
    if is_superseded(runtime.client):
        return
    action = watch_challenger(Desk(runtime.settings, runtime.client, runtime.ledger, runtime.schema), now=now())
    if action is None:
        return
    log.info("guard_acted", action=action)
    if action in ("canary_ended", "rolled_back"):
        metrics.GUARD_ACTIONS.labels(action).inc()
    if action in ("promoted", "rolled_back"):
        tell_everybody(runtime)
    else:
        tell_workers(runtime.app)
