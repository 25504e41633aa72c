"""Swaps that must not wait behind a training: rollback, promotion that an operator forced, and who is compared with the
champion. No science is loaded.
"""

from __future__ import annotations

from celery import shared_task

from config import names
from config.queue.model_jobs import ModelJob
from ml.promotion.challengers import ChallengerDesk
from ml.promotion.desk import Desk
from workers.background import BackgroundRuntime, background_runtime
from workers.model_jobs import Result, find_job, now, run_job, tell_workers


# Acknowledged when it begins: a rollback that is delivered twice would go back two models.
@shared_task(name=names.TASK_SWAP_MODEL, ignore_result=True, acks_late=False, soft_time_limit=30, time_limit=60)
def swap_model(job_id: str) -> None:
    """Move the champion pointer at once."""
    runtime = background_runtime()
    job = find_job(runtime.client, job_id)
    if job is not None:
        run_job(runtime.client, job, _swap)


def _swap(job: ModelJob) -> Result:
    runtime = background_runtime()
    desk = Desk(runtime.settings, runtime.client, runtime.ledger, runtime.schema)
    if job.kind in ("shadow", "canary", "end_challenger"):
        return _compare(job, ChallengerDesk(desk))
    if job.kind == "rollback":
        pointer = desk.roll_back(actor=job.actor, now=now())
    else:
        pointer = desk.force(job.model_version or "", actor=job.actor, now=now())
    tell_everybody(runtime, pointer.model_version)
    return {"model_version": pointer.model_version}


def _compare(job: ModelJob, desk: ChallengerDesk) -> Result:
    version = job.model_version or ""
    if job.kind == "end_challenger":
        pointer = desk.end(actor=job.actor, now=now())
    elif job.kind == "canary":
        pointer = desk.canary(version, share=job.share, actor=job.actor, now=now())
    else:
        pointer = desk.shadow(version, actor=job.actor, now=now())
    tell_workers(background_runtime().app)
    return {"model_version": pointer.model_version}


def tell_everybody(runtime: BackgroundRuntime, model_version: str) -> None:
    """Let workers look at the pointers, and MLflow know the champion, which does not hold anybody up."""
    tell_workers(runtime.app)
    runtime.app.send_task(names.TASK_MARK_CHAMPION, args=(model_version,), queue=names.QUEUE_TRAIN, ignore_result=True)
