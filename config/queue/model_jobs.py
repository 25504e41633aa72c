"""Work on models that a client or beat asked for: what it is, how far it is, what came of it. One record each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import redis
from redis.client import Pipeline

from config import names

LIFETIME_S = 7 * 86_400

JobKind = Literal["retrain", "promote", "rollback"]
JobStatus = Literal["queued", "running", "done", "refused", "failed"]


class ModelJob(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work. Times are RFC 3339.

    `status`: "refused" when the gate or a check said no, with the error's `code`; "failed" for anything else.
    `model_version`: what to promote; for the others, the model that came of it. `outcome`: the gate's decision.
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
    outcome: str | None = None
    code: str | None = None
    detail: str = ""
    step: str = ""

    @property
    def is_finished(self) -> bool:
        return self.status in ("done", "refused", "failed")


def write_job(client: redis.Redis, job: ModelJob) -> None:
    """Keep the job for a week, and as the newest of its kind. Raises RedisError."""
    with client.pipeline(transaction=True) as pipe:
        _write(pipe, job)
        pipe.execute()


def enqueue_job(client: redis.Redis, job: ModelJob, *, queue: str, message: str) -> None:
    """Keep the job and push its message, both or neither. Raises RedisError."""
    with client.pipeline(transaction=True) as pipe:
        _write(pipe, job)
        pipe.lpush(queue, message)
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


def is_training(client: redis.Redis) -> bool:
    """Whether a training holds the lock: one that died lets go of it within a minute. Raises RedisError."""
    return bool(client.exists(names.TRAINING_LOCK))
