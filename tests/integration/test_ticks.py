"""Ticks that piled up: the last of each kind is done, the others are left out, whatever any clock says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

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


@pytest.fixture
def app(redis_url: str) -> Celery:
    return make_celery(Settings(redis_url=redis_url), "web")


def leave(client: Redis, app: Celery, task: str, queue: str, *, number: int = 1) -> None:
    for _ in range(number):
        client.lpush(queue, task_message(app, task, queue).render(""))


def test_beat_ticks_for_these_tasks(app: Celery) -> None:
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_a_tick_with_another_behind_it_does_nothing(
    monkeypatch: pytest.MonkeyPatch, redis_client: Redis, app: Celery, task: str
) -> None:
    module, body = TASKS[task]
    queue = app.amqp.router.route({}, task)["queue"].name
    runtime = "training_runtime" if queue == names.QUEUE_TRAIN else "background_runtime"
    # A runtime with nothing but the client: a body that went on would not get far.
    monkeypatch.setattr(module, runtime, lambda: SimpleNamespace(client=redis_client))
    monkeypatch.setattr(drift, "read_champion", lambda _client: SimpleNamespace())
    leave(redis_client, app, task, queue)

    assert body.apply(routing_key=queue).successful()

    redis_client.delete(queue)
    leave(redis_client, app, names.TASK_RECORD_LABEL, queue)
    assert isinstance(body.apply(routing_key=queue).result, AttributeError)


def test_of_an_outage_of_an_hour_each_kind_is_done_once_and_few_are_looked_at(redis_client: Redis, app: Celery) -> None:
    done: list[str] = []

    def body(self: Any) -> None:
        if not ticks.is_superseded(redis_client):
            done.append(self.name)

    intervals_s = {names.TASK_DRAIN_JOURNAL: 1, names.TASK_REAP_INBOX: 5, names.TASK_KEEP_HOUSE: 60}
    tasks = {name: app.task(body, name=f"{name}-of-this-test", bind=True) for name in intervals_s}
    sent = [name for second in range(1, 3601) for name, every_s in intervals_s.items() if second % every_s == 0]
    redis_client.lpush(names.QUEUE_TICKS, *(f'{{"task":"{name}-of-this-test"}}' for name in sent))

    taken = 0
    while message := redis_client.rpop(names.QUEUE_TICKS):
        taken += 1
        name = str(message).split('"')[3].removesuffix("-of-this-test")
        tasks[name].apply(routing_key=names.QUEUE_TICKS)

    assert sorted(done) == sorted(task.name for task in tasks.values())
    assert taken <= ticks.LOOKED_AT + 1
