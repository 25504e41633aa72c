"""Which message a worker takes next, by the real transport and the launcher's command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis

from config import names
from config.celery_app import Role, make_celery
from config.queue.messages import task_message
from config.settings import Settings
from deploy.launcher import processes
from deploy.launcher.child import Process

Take = Callable[[], str]


@contextmanager
def worker(process: Process, role: Role, redis_url: str) -> Iterator[Take]:
    """What a worker of this process consumes, one message at a time: the queue that the next one is from."""
    app = make_celery(Settings(redis_url=redis_url), role)
    app.amqp.queues.select(process.argv[process.argv.index("--queues") + 1].split(","))
    taken: list[str] = []

    def keep(message: Any) -> None:
        taken.append(message.delivery_info["routing_key"])
        message.ack()

    with app.connection_for_read() as connection:
        channel = connection.default_channel
        channel.basic_qos(0, 1, False)
        with app.amqp.TaskConsumer(channel, on_message=keep):
            yield lambda: (connection.drain_events(timeout=5), taken[-1])[1]


def leave(client: Redis, *queues: str) -> None:
    """A message in each of these queues."""
    app = make_celery(Settings(), "web")
    for queue in queues:
        client.lpush(queue, task_message(app, names.TASK_SCORE_ACCEPTED, queue).render("t1"))


def test_a_payment_that_somebody_waits_for_is_taken_before_accepted_ones(redis_client: Redis, redis_url: str) -> None:
    sync, accepted = names.SCORING_QUEUES
    leave(redis_client, *[accepted] * 3, sync, sync)

    with worker(processes.scoring(1), "scoring", redis_url) as take:
        assert [take() for _ in range(3)] == [sync, sync, accepted]
        leave(redis_client, sync)
        assert [take() for _ in range(3)] == [sync, accepted, accepted]


def test_neither_labels_nor_ticks_keep_the_others_out(redis_client: Redis, redis_url: str) -> None:
    ticks, labels = names.BACKGROUND_QUEUES
    leave(redis_client, *[labels] * 3, *[ticks] * 3)

    with worker(processes.background(), "background", redis_url) as take:
        taken = [take() for _ in range(6)]

    assert sorted(taken[:2]) == sorted(taken[2:4]) == sorted(taken[4:]) == sorted([ticks, labels])


@pytest.mark.parametrize("queues", [names.SCORING_QUEUES, names.BACKGROUND_QUEUES])
def test_a_message_that_goes_back_is_taken_first_from_its_own_queue(
    redis_client: Redis, redis_url: str, queues: tuple[str, str]
) -> None:
    leave(redis_client, queues[1])
    app = make_celery(Settings(redis_url=redis_url), "scoring")

    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get(queues[1])
        assert message is not None
        message.requeue()

    assert [redis_client.llen(queue) for queue in queues] == [0, 1]
