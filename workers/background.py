"""What a background worker process holds: its Redis client, the ledger, the schema. Built once, at worker start."""

from __future__ import annotations

from dataclasses import dataclass, field

import redis
from celery import Celery

from config.queue.inbox import Inbox
from config.schema.model import Schema
from config.settings import Settings
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger


@dataclass(slots=True)
class BackgroundRuntime:
    """The parts that background tasks use."""

    settings: Settings
    client: redis.Redis
    ledger: Ledger
    schema: Schema
    spec: FeatureSpec
    app: Celery
    worker: str
    inbox: Inbox = field(init=False)

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.client, self.settings)


_runtime: BackgroundRuntime | None = None


def install(runtime: BackgroundRuntime) -> None:
    """Make `runtime` the one that this process's tasks use. Called once, at worker start."""
    global _runtime
    _runtime = runtime


def background_runtime() -> BackgroundRuntime:
    """The installed runtime. Raises RuntimeError in a process that is not a background worker."""
    if _runtime is None:
        raise RuntimeError("no background runtime: this process was started as a scoring worker")
    return _runtime
