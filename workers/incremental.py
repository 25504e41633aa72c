"""The incremental model's step: beat asks, a child of the training worker learns from the labels that became known."""

from __future__ import annotations

import structlog
from celery import shared_task

from config import names
from config.errors import TrainingRunning
from workers.model_jobs import now, tell_workers
from workers.ticks import is_superseded
from workers.training import GATE_LIMIT_S, mark_in_mlflow, open_desk
from workers.training_lock import training_lock
from workers.training_runtime import training_runtime

log = structlog.get_logger(__name__)


# Acknowledged when it begins: one that was cut off is done again by the next, from where the state on the disk ends.
@shared_task(name=names.TASK_LEARN_LABELS, ignore_result=True, acks_late=False, time_limit=GATE_LIMIT_S)
def learn_labels() -> None:
    """Learn from what became known since the last step; publish a bundle and ask the gate when it is time."""
    runtime = training_runtime()
    if is_superseded(runtime.client):
        return
    # Imported here, in the child: the science takes seconds to load.
    from ml.promotion.incremental import take_step

    try:
        with training_lock(runtime.client, name=names.INCREMENTAL_LOCK), open_desk(runtime) as desk:
            step = take_step(desk, now=now())
    except TrainingRunning:
        log.info("incremental_step_skipped", reason="the step before is still running")
        return
    if step.promoted is not None:
        tell_workers(runtime.app)
        mark_in_mlflow(runtime, step.promoted.model_version)
    published = step.published.model_version if step.published else None
    log.info("incremental_step", lessons=step.lessons, published=published, promoted=step.promoted is not None)
