"""Retraining from the ledger and promotion by the gate: minutes of work, in a child of the training worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from celery import shared_task

from config import names
from config.queue.model_jobs import ModelJob, new_job, write_job
from config.queue.stats import read_champion
from ml.ledger import Ledger
from ml.promotion.desk import Desk
from workers.model_jobs import Result, find_job, now, run_job, tell_workers
from workers.ticks import is_superseded
from workers.training_lock import training_lock
from workers.training_runtime import TrainingRuntime, training_runtime

LONGEST_S = 24 * 3600
GATE_LIMIT_S = 900


# Acknowledged when it begins: a training that was cut off is not wanted again hours later, beat asks for the next.
@shared_task(name=names.TASK_RETRAIN, ignore_result=True, acks_late=False, time_limit=LONGEST_S)
def retrain(job_id: str = "") -> None:
    """Train a challenger and let the gate decide. Without a job, beat asked for it."""
    runtime = training_runtime()
    if not job_id and is_superseded(runtime.client):
        return
    job = find_job(runtime.client, job_id) if job_id else new_job("retrain", "beat")
    if job is not None:
        run_job(runtime.client, job, _retrain)


@shared_task(name=names.TASK_PROMOTE_MODEL, ignore_result=True, acks_late=False, time_limit=GATE_LIMIT_S)
def promote_model(job_id: str) -> None:
    """Make a model the champion if the gate says so."""
    runtime = training_runtime()
    job = find_job(runtime.client, job_id)
    if job is not None:
        run_job(runtime.client, job, _promote)


@shared_task(name=names.TASK_MARK_CHAMPION, ignore_result=True, acks_late=False, time_limit=120)
def mark_champion() -> None:
    """Move MLflow's alias after a swap that did not wait for it: to who is champion when this runs, which may be long
    after, behind a training, and after another swap.
    """
    runtime = training_runtime()
    pointer = read_champion(runtime.client)
    if pointer is not None:
        mark_in_mlflow(runtime, pointer.model_version)


def _retrain(job: ModelJob) -> Result:
    runtime = training_runtime()

    def say(step: str) -> None:
        write_job(runtime.client, msgspec.structs.replace(job, step=step))

    with training_lock(runtime.client), open_desk(runtime) as desk:
        made = desk.retrain(actor=job.actor, now=now(), say=say)
        tell_workers(runtime.app)
        if made.pointer is not None:
            mark_in_mlflow(runtime, made.model_version)
    outcome: str = made.report.outcome if made.report else "promote"
    if outcome == "promote" and made.pointer is None:
        outcome = "canary"
    reasons = "; ".join(made.report.reasons) if made.report else "the first model of its schema"
    return {"model_version": made.model_version, "outcome": outcome, "detail": reasons}


def _promote(job: ModelJob) -> Result:
    runtime, version = training_runtime(), job.model_version or ""
    with open_desk(runtime) as desk:
        pointer = desk.promote(version, actor=job.actor, now=now())
    tell_workers(runtime.app)
    if pointer is None:
        return {"outcome": "canary"}
    mark_in_mlflow(runtime, version)
    return {"outcome": "promote"}


def mark_in_mlflow(runtime: TrainingRuntime, model_version: str) -> None:
    """Move MLflow's alias `champion`."""
    # Imported here, in the child: MLflow's client takes seconds to load.
    from ml.training.tracking import mark_champion as mark

    mark(runtime.settings, model_version)


@contextmanager
def open_desk(runtime: TrainingRuntime) -> Iterator[Desk]:
    """A desk with a ledger of this process: connections do not survive a fork."""
    ledger = Ledger(runtime.settings.database_url, schema=runtime.schema)
    try:
        yield Desk(runtime.settings, runtime.client, ledger, runtime.schema)
    finally:
        ledger.close()
