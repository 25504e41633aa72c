"""Work on models that a client or beat asked for: what it is, how far it is, what came of it. One record each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import msgspec
import redis
from redis.client import Pipeline

from config import names
from config.errors import TrainingRunning
from config.queue.messages import TaskMessage

LIFETIME_S = 7 * 86_400
LOST_AFTER_S = 1800.0
"""A job that waits for longer, with nothing on its queue, has lost its message: a worker died that had taken it. The
worker takes one message ahead, and a promotion before it may last for a quarter of an hour."""

ChallengerKind = Literal["shadow", "canary", "end_challenger"]
JobKind = Literal["retrain", "promote", "rollback"] | ChallengerKind
JobStatus = Literal["queued", "running", "done", "refused", "failed"]


class ModelJob(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work. Times are RFC 3339.

    `status`: "refused" when the gate or a check said no, with the error's `code`; "failed" for anything else.
    `model_version`: what to promote or to compare; for the others, the model that came of it. `outcome`: the gate's
    decision; "canary" when it promotes a model that runs as a canary first. `share`: of the traffic, for a canary.
    `step`: what is being done.
    """

    job_id: str
    kind: JobKind
    status: JobStatus
    actor: str
    requested_at: str
    finished_at: str | None = None
    model_version: str | None = None
    force: bool = False
    share: float = 0.0
    outcome: str | None = None
    code: str | None = None
    detail: str = ""
    step: str = ""

    @property
    def is_finished(self) -> bool:
        return self.status in ("done", "refused", "failed")


def new_job(
    kind: JobKind, actor: str, *, model_version: str | None = None, force: bool = False, share: float = 0.0
) -> ModelJob:
    """A job that was asked for just now."""
    return ModelJob(
        job_id=uuid4().hex,
        kind=kind,
        status="queued",
        actor=actor,
        requested_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        model_version=model_version,
        force=force,
        share=share,
    )


def ask_for_training(client: redis.Redis, message: TaskMessage, *, actor: str) -> ModelJob:
    """Ask for a training on the ledger, whoever wants one; one that waits already is returned. Raises RedisError.

    Raises:
        TrainingRunning: one runs now.
    """
    latest = latest_training(client)
    if latest is not None and latest.status == "running":
        raise TrainingRunning("a training is running; GET /retrain shows it")
    if latest is not None and latest.status == "queued":
        return latest
    job = new_job("retrain", actor)
    enqueue_job(client, job, message)
    return job


def write_job(client: redis.Redis, job: ModelJob) -> None:
    """Keep the job for a week, and as the newest of its kind. Raises RedisError."""
    with client.pipeline(transaction=True) as pipe:
        _write(pipe, job)
        pipe.execute()


def enqueue_job(client: redis.Redis, job: ModelJob, message: TaskMessage) -> None:
    """Keep the job and push its message, both or neither, stamped on the server's clock. Raises RedisError."""
    clock: Any = client.time()
    enqueued_ms = clock[0] * 1000 + clock[1] // 1000
    with client.pipeline(transaction=True) as pipe:
        _write(pipe, job)
        pipe.lpush(message.queue, message.render(job.job_id, enqueued_ms=enqueued_ms))
        pipe.execute()


def _write(pipe: Pipeline, job: ModelJob) -> None:
    pipe.set(names.model_job_key(job.job_id), msgspec.json.encode(job), ex=LIFETIME_S)
    pipe.set(names.latest_model_job_key(job.kind), job.job_id, ex=LIFETIME_S)


def read_job(client: redis.Redis, job_id: str) -> ModelJob | None:
    """The job with this id. Raises RedisError."""
    stored = client.get(names.model_job_key(job_id))
    return msgspec.json.decode(stored, type=ModelJob) if stored else None


def latest_job(client: redis.Redis, kind: JobKind) -> ModelJob | None:
    """The newest job of a kind. Raises RedisError."""
    job_id: Any = client.get(names.latest_model_job_key(kind))
    return read_job(client, job_id.decode()) if job_id else None


def latest_training(client: redis.Redis) -> ModelJob | None:
    """The newest training; "failed" when its worker died. Raises RedisError."""
    job = latest_job(client, "retrain")
    if job is None or job.is_finished or is_training(client):
        return job
    if job.status == "running":
        return msgspec.structs.replace(job, status="failed", detail="the training worker ended before the training did")
    if _is_lost(client, job):
        return msgspec.structs.replace(job, status="failed", detail="the training worker ended before it began")
    return job


def _is_lost(client: redis.Redis, job: ModelJob) -> bool:
    waited_s = (datetime.now(UTC) - datetime.fromisoformat(job.requested_at)).total_seconds()
    return waited_s > LOST_AFTER_S and not client.llen(names.QUEUE_TRAIN)


def is_training(client: redis.Redis) -> bool:
    """Whether a training holds the lock: one that died lets go of it within a minute. Raises RedisError."""
    return bool(client.exists(names.TRAINING_LOCK))
