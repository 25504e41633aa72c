"""A held script: one connection, kept in step with its answers whatever happens to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis import Redis

from config import names
from config.queue.server_scripts import HeldScript
from tests.inbox_work import accept

LIST = "held:list"


@pytest.fixture
def script(redis_client: Redis) -> Iterator[HeldScript]:
    held = HeldScript(redis_client, "enqueue")
    yield held
    held.close()


def call(entry_id: str, message: str = '{"enqueued_ms":0}') -> tuple[list[str], list[str]]:
    """Keys and arguments: 1 when the entry is there and the message was pushed, else 0."""
    return [names.inbox_key(entry_id), LIST], [message]


def run(script: HeldScript, entry_id: str) -> int:
    keys, args = call(entry_id)
    return int(script(keys=keys, args=args))


def test_answers_come_in_the_order_of_the_calls(script: HeldScript, redis_client: Redis) -> None:
    accept(redis_client, "t1")

    assert script.run_all([call("t0"), call("t1"), call("t0"), call("t1")]) == [0, 1, 0, 1]


def test_a_server_that_has_forgotten_the_script_is_told_it_again(script: HeldScript, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    assert run(script, "t1") == 1
    redis_client.script_flush()

    assert script.run_all([call("t1"), call("t0")]) == [1, 0]


def test_a_connection_that_was_cut_between_two_calls_costs_none(script: HeldScript, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    assert run(script, "t1") == 1
    redis_client.client_kill_filter(_type="normal", skipme=True)

    assert run(script, "t1") == 1


def test_one_call_that_fails_is_told_and_the_next_gets_its_own_answer(script: HeldScript, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    redis_client.set("held:text", "not a list")

    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        script.run_all([call("t1"), ([names.inbox_key("t1"), "held:text"], ["m"]), call("t0")])

    assert script.run_all([call("t0"), call("t1")]) == [0, 1]
