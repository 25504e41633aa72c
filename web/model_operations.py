"""Work on models, asked for over HTTP: put on the queue as a job, looked up by its id. Implements `ModelOperations`.

The web side knows no science: training and the gate run in the training worker. A rollback and a forced promotion go to
the background worker, so that they never wait behind a training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import redis

from config import names
from config.celery_app import make_celery
from config.errors import BrokerUnavailable
from config.queue.connections import make_redis
from config.queue.messages import TaskMessage
from config.queue.model_jobs import (
    ChallengerKind,
    ModelJob,
    ask_for_training,
    enqueue_job,
    latest_training,
    new_job,
    read_job,
)
from config.queue.stats import read_challenger, read_guard
from config.settings import Settings
from web.ports.models import ChallengerState

T = TypeVar("T")

CHECK_S = 0.1


class QueuedModelOperations:
    """One per web process. Opens nothing until first used."""

    def __init__(self, settings: Settings) -> None:
        app = make_celery(settings, "web")
        self._client = make_redis(settings, timeout_s=settings.broker_timeout_s, connections=4)
        self._retrain = TaskMessage(app, names.TASK_RETRAIN, names.QUEUE_TRAIN)
        self._promote = TaskMessage(app, names.TASK_PROMOTE_MODEL, names.QUEUE_TRAIN)
        self._swap = TaskMessage(app, names.TASK_SWAP_MODEL, names.QUEUE_BACKGROUND)

    def retrain(self, *, actor: str) -> ModelJob:
        """See `ModelOperations.retrain`."""
        return _guarded(lambda: ask_for_training(self._client, self._retrain, actor=actor))

    def latest_training(self) -> ModelJob | None:
        """See `ModelOperations.latest_training`."""
        return _guarded(lambda: latest_training(self._client))

    def promote(self, model_version: str, *, force: bool, actor: str) -> ModelJob:
        """See `ModelOperations.promote`."""
        job = new_job("promote", actor, model_version=model_version, force=force)
        return self._ask(job, self._swap if force else self._promote)

    def roll_back(self, *, actor: str) -> ModelJob:
        """See `ModelOperations.roll_back`."""
        return self._ask(new_job("rollback", actor), self._swap)

    def compare(self, kind: ChallengerKind, model_version: str | None, *, share: float, actor: str) -> ModelJob:
        """See `ModelOperations.compare`."""
        return self._ask(new_job(kind, actor, model_version=model_version, share=share), self._swap)

    def challenger(self) -> ChallengerState:
        """See `ModelOperations.challenger`."""
        return _guarded(lambda: ChallengerState(read_challenger(self._client), read_guard(self._client)))

    def find(self, job_id: str) -> ModelJob | None:
        """See `ModelOperations.find`."""
        return _guarded(lambda: read_job(self._client, job_id))

    def wait_for(self, job: ModelJob, *, timeout_s: float) -> ModelJob:
        """See `ModelOperations.wait_for`."""
        deadline = time.monotonic() + timeout_s
        while True:
            job = self.find(job.job_id) or job
            if job.is_finished or time.monotonic() >= deadline:
                return job
            time.sleep(CHECK_S)

    def _ask(self, job: ModelJob, message: TaskMessage) -> ModelJob:
        _guarded(lambda: enqueue_job(self._client, job, message))
        return job


def _guarded(command: Callable[[], T]) -> T:
    try:
        return command()
    except redis.RedisError as error:
        raise BrokerUnavailable(
            f"the broker does not answer ({type(error).__name__}); nothing was accepted", retry_after_s=1
        ) from error
