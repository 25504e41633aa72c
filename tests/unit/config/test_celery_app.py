"""The Celery application: what must never change by accident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest
from celery import Celery
from celery.worker import request
from celery.worker.request import Request

from config import names
from config.celery_app import Role, make_celery
from config.settings import Settings

DEPENDED_ON = {
    names.TASK_DRAIN_JOURNAL,
    names.TASK_REAP_INBOX,
    names.TASK_KEEP_HOUSE,
    names.TASK_WATCH_CHALLENGER,
}


class Tomorrow(datetime):
    """The clock of a worker that is a day ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz or UTC) + timedelta(days=1)


@pytest.mark.parametrize("role", ["scoring", "bulk", "background", "training", "web"])
def test_messages_are_read_as_json_only(role: Role) -> None:
    conf = make_celery(Settings(), role).conf

    assert (conf.accept_content, conf.task_serializer, conf.result_backend) == (["json"], "json", None)


def does_nothing() -> None:
    """The body of a task that is only looked at."""


def ticks(app: Celery) -> list[Any]:
    """One message of each of beat's entries, as beat sends it and a worker gets it."""
    with app.connection_for_write("memory://", transport="memory") as connection:
        channel = connection.default_channel
        with app.amqp.Producer(channel) as producer:
            for entry in app.conf.beat_schedule.values():
                app.send_task(entry["task"], producer=producer, **entry.get("options", {}))
        taken = [channel.basic_get(queue, no_ack=True) for queue in names.QUEUES for _ in app.conf.beat_schedule]
    return [message for message in taken if message is not None]


def test_no_tick_is_dropped_by_a_worker_whose_clock_is_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_celery(Settings(), "web")
    task = app.task(name="does-nothing")(does_nothing)
    monkeypatch.setattr(request, "datetime", Tomorrow)

    for message in (sent := ticks(app)):
        assert not Request(message, app=app, task=task).revoked(), message.headers["task"]
    assert len(sent) == len(app.conf.beat_schedule) > 0


def test_what_everything_depends_on_does_not_wait_behind_labels() -> None:
    sent = ticks(make_celery(Settings(), "web"))

    assert {one.headers["task"] for one in sent if one.delivery_info["routing_key"] == names.QUEUE_TICKS} == DEPENDED_ON
