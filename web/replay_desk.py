"""Replays of single decisions, asked for over HTTP: put on the background queue, looked up by their id."""

from __future__ import annotations

import redis
from celery import Celery

from config import names
from config.queue.messages import TaskMessage
from config.queue.replays import ReplayRequest, ask_for_replay, read_replay
from web.breaker import Guard


class QueuedReplays:
    """A `ReplayDesk` on the real queue. `guard` runs every command."""

    def __init__(self, app: Celery, client: redis.Redis, guard: Guard) -> None:
        self._client = client
        self._guard = guard
        self._message = TaskMessage(app, names.TASK_REPLAY_DECISION, names.QUEUE_BACKGROUND)

    def ask(self, decision_id: str) -> ReplayRequest:
        """See `ReplayDesk.ask`."""
        return self._guard(lambda: ask_for_replay(self._client, self._message, decision_id))

    def find(self, replay_id: str) -> ReplayRequest | None:
        """See `ReplayDesk.find`."""
        return self._guard(lambda: read_replay(self._client, replay_id))
