"""What a training worker process holds. Built once, at worker start, before it forks."""

from __future__ import annotations

from dataclasses import dataclass

import redis
from celery import Celery

from config.schema.model import Schema
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class TrainingRuntime:
    """The parts that training tasks use. The Redis client opens a connection per process that uses it."""

    settings: Settings
    client: redis.Redis
    schema: Schema
    app: Celery


_runtime: TrainingRuntime | None = None


def install(runtime: TrainingRuntime) -> None:
    """Make `runtime` the one that this process's tasks use. Called once, at worker start."""
    global _runtime
    _runtime = runtime


def training_runtime() -> TrainingRuntime:
    """The installed runtime. Raises RuntimeError in a process that is not a training worker."""
    if _runtime is None:
        raise RuntimeError("no training runtime: this process was not started with TOLLGATE_ROLE=training")
    return _runtime
