"""Ticks that piled up: one of each kind is done, the others are left out, whatever any clock says."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import Celery
from redis import Redis

from config import names
from config.celery_app import make_celery
from config.queue.messages import task_message
from config.settings import Settings
from workers import drift, guard, housekeeping, inbox, incremental, journal, quality, ticks, training

TASKS = {
    names.TASK_DRAIN_JOURNAL: (journal, journal.drain_journal),
    names.TASK_REAP_INBOX: (inbox, inbox.reap_inbox),
    names.TASK_KEEP_HOUSE: (housekeeping, housekeeping.keep_house),
    names.TASK_WATCH_CHALLENGER: (guard, guard.watch),
    names.TASK_CHECK_DRIFT: (drift, drift.check_drift),
    names.TASK_ROLL_UP_QUALITY: (quality, quality.roll_up_quality),
    names.TASK_RETRAIN: (training, training.retrain),
    names.TASK_LEARN_LABELS: (incremental, incremental.learn_labels),
}

INTERVALS_S = {names.TASK_DRAIN_JOURNAL: 1, names.TASK_REAP_INBOX: 5, names.TASK_KEEP_HOUSE: 60}


@pytest.fixture
def app(redis_url: str) -> Celery:
    return make_celery(Settings(redis_url=redis_url), "web")


def leave(client: Redis, app: Celery, task: str, queue: str, *, number: int = 1) -> None:
    for _ in range(number):
        client.lpush(queue, task_message(app, task, queue).render(""))


def test_beat_ticks_for_these_tasks(app: Celery) -> None:
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_of_two_ticks_of_one_kind_one_is_done(
    monkeypatch: pytest.MonkeyPatch, redis_client: Redis, app: Celery, task: str
) -> None:
    module, body = TASKS[task]
    queue = app.amqp.router.route({}, task)["queue"].name
    runtime = "training_runtime" if queue == names.QUEUE_TRAIN else "background_runtime"
    # A runtime with nothing but the client: a body that goes on does not get far.
    monkeypatch.setattr(module, runtime, lambda: SimpleNamespace(client=redis_client))
    monkeypatch.setattr(drift, "read_champion", lambda _client: SimpleNamespace())
    leave(redis_client, app, names.TASK_RECORD_LABEL, queue)
    leave(redis_client, app, task, queue)

    outcome = body.apply(routing_key=queue)

    is_done, waiting = isinstance(outcome.result, AttributeError), redis_client.llen(queue)
    assert (is_done, waiting) == ((True, 1) if queue == names.QUEUE_TICKS else (False, 2))
    redis_client.delete(queue)
    leave(redis_client, app, names.TASK_RECORD_LABEL, queue)
    assert isinstance(body.apply(routing_key=queue).result, AttributeError)


class Ticking:
    """Tasks that only remember that they were done, and a queue with messages that name them."""

    def __init__(self, client: Redis, app: Celery) -> None:
        self._client = client
        self.done: Counter[str] = Counter()

        def body(task: Any) -> None:
            if not ticks.is_superseded(client):
                self.done[task.name] += 1

        self._tasks = {
            name: app.task(body, name=f"{name}-of-this-test", bind=True, shared=False) for name in INTERVALS_S
        }

    def send(self, *seconds: int) -> None:
        """What beat sends in these seconds."""
        for second in seconds:
            for name, interval_s in INTERVALS_S.items():
                if second % interval_s == 0:
                    message = f'{{"task":"{name}-of-this-test","id":{second}}}'
                    self._client.lpush(names.QUEUE_TICKS, message)

    def take(self) -> bool:
        """Do what the next message says; False when there is none."""
        message = self._client.rpop(names.QUEUE_TICKS)
        if message:
            self._tasks[str(message).split('"')[3].removesuffix("-of-this-test")].apply(routing_key=names.QUEUE_TICKS)
        return bool(message)


def test_of_an_outage_of_an_hour_each_kind_is_done_once(redis_client: Redis, app: Celery) -> None:
    ticking = Ticking(redis_client, app)
    ticking.send(*range(1, 3601))

    while ticking.take():
        pass

    assert sorted(ticking.done.values()) == [1] * len(INTERVALS_S)


def test_each_kind_is_done_where_a_worker_takes_one_tick_in_three_seconds(redis_client: Redis, app: Celery) -> None:
    ticking = Ticking(redis_client, app)

    for second in range(0, 600, 3):
        ticking.send(second, second + 1, second + 2)
        ticking.take()

    assert len(ticking.done) == len(INTERVALS_S)
    assert min(ticking.done.values()) >= 5
    assert cast("int", redis_client.llen(names.QUEUE_TICKS)) < 10
