"""Runs one job about a model and writes down what came of it, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import redis
import structlog
from celery import Celery
from msgspec.structs import replace

from config import names
from config.errors import TollgateError
from config.queue.model_jobs import ModelJob, read_job, write_job

log = structlog.get_logger(__name__)

Result = dict[str, Any]
"""Fields of `ModelJob` that the work determined."""


def run_job(client: redis.Redis, job: ModelJob, work: Callable[[ModelJob], Result]) -> ModelJob:
    """Do the work of a job that is not finished yet. What Tollgate can name is written down as refused; any other
    error as failed, and raised again.
    """
    if job.is_finished:
        return job
    job = replace(job, status="running")
    write_job(client, job)
    try:
        done = replace(job, status="done", **work(job))
    except TollgateError as error:
        done = replace(job, status="refused", code=error.code, detail=error.detail)
    except Exception as error:
        write_job(client, _finished(replace(job, status="failed", detail=type(error).__name__)))
        raise
    done = _finished(done)
    write_job(client, done)
    log.info("model_job_finished", kind=job.kind, status=done.status, model_version=done.model_version)
    return done


def find_job(client: redis.Redis, job_id: str) -> ModelJob | None:
    """The job that a message names; None, with a warning, when it has expired."""
    job = read_job(client, job_id)
    if job is None:
        log.warning("model_job_unknown", job=job_id)
    return job


def tell_workers(app: Celery) -> None:
    """Let every worker look at the champion pointer now. Only a hint: each looks by itself within a second."""
    app.control.broadcast(names.CONTROL_RELOAD, reply=False)


def now() -> datetime:
    return datetime.now(UTC)


def _finished(job: ModelJob) -> ModelJob:
    return replace(job, step="", finished_at=now().isoformat(timespec="milliseconds"))
