"""The transport keeps kombu's promises: recorded while unacknowledged, gone after, back when rejected or abandoned."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection
from redis import Redis

from config.celery_app import TRANSPORT, make_celery
from config.settings import Settings

QUEUE = "transport-test"
UNACKED = "tollgate:unacked:scoring"
INDEX = "tollgate:unacked-index:scoring"


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    app = make_celery(Settings(redis_url=redis_url), "scoring")
    with app.connection_for_read() as connection:
        assert connection.transport_cls == TRANSPORT
        yield connection


def settle(connection: Connection, message: Any) -> None:
    message.channel.bookkeeping.flush()


def test_a_popped_message_is_recorded_until_it_is_acknowledged(connection: Connection, redis_client: Redis) -> None:
    with connection.SimpleQueue(QUEUE) as queue:
        queue.put({"n": 1})
        message = queue.get(timeout=5)
        settle(connection, message)
        assert redis_client.hlen(UNACKED) == redis_client.zcard(INDEX) == 1

        message.ack()
        settle(connection, message)

        assert redis_client.hlen(UNACKED) == redis_client.zcard(INDEX) == 0


def test_a_rejected_message_comes_back(connection: Connection, redis_client: Redis) -> None:
    with connection.SimpleQueue(QUEUE) as queue:
        queue.put({"n": 1})
        message = queue.get(timeout=5)
        message.requeue()

        assert queue.get(timeout=5).payload == {"n": 1}


def test_closing_with_unacknowledged_messages_puts_them_back(connection: Connection, redis_client: Redis) -> None:
    with connection.SimpleQueue(QUEUE) as queue:
        queue.put({"n": 1})
        queue.get(timeout=5)

    connection.close()

    assert redis_client.llen(QUEUE) == 1
    assert redis_client.hlen(UNACKED) == 0


def test_the_record_holds_what_redelivery_needs(connection: Connection, redis_client: Redis) -> None:
    with connection.SimpleQueue(QUEUE) as queue:
        queue.put({"n": 7})
        message = queue.get(timeout=5)
        settle(connection, message)

        message.channel.qos.restore_by_tag(message.delivery_tag)

        assert queue.get(timeout=5).payload == {"n": 7}


def test_a_lost_bookkeeping_connection_is_reported_and_replaced(connection: Connection, redis_client: Redis) -> None:
    with connection.SimpleQueue(QUEUE) as queue:
        queue.put({"n": 1})
        message = queue.get(timeout=5)
        settle(connection, message)
        message.channel.bookkeeping._connection._sock.close()

        with pytest.raises(connection.connection_errors):
            message.ack()

        message.channel.bookkeeping.send([("SET", "tollgate:probe", "1")])
        message.channel.bookkeeping.flush()
        assert redis_client.get("tollgate:probe") == b"1"
        message.ack()


def test_a_broker_at_its_memory_limit_refuses_the_record_and_ends_nothing(
    connection: Connection, redis_client: Redis
) -> None:
    with connection.SimpleQueue(QUEUE) as queue:
        queue.put({"n": 1})
        redis_client.config_set("maxmemory", 1)
        try:
            message = queue.get(timeout=5)
            message.ack()
            settle(connection, message)
        finally:
            redis_client.config_set("maxmemory", 0)

        queue.put({"n": 2})
        assert queue.get(timeout=5).payload == {"n": 2}


def test_a_forked_child_takes_no_answer_that_its_parent_waits_for(connection: Connection, redis_client: Redis) -> None:
    with connection.SimpleQueue(QUEUE) as queue:
        queue.put({"n": 1})
        message = queue.get(timeout=5)  # its record is sent, the answers are not read yet

        child = os.fork()
        if child == 0:
            message.channel._after_fork()  # what a prefork pool's child does first
            os._exit(0)
        os.waitpid(child, 0)
        message.ack()
        settle(connection, message)

        assert redis_client.hlen(UNACKED) == redis_client.zcard(INDEX) == 0
