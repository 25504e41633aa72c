"""The reaper pushes what was lost, once, and nothing that still waits."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from config import names
from config.queue.inbox import Inbox
from tests.inbox_work import (
    OVERDUE_S,
    accept,
    attempts_of,
    dead,
    finish,
    let_time_pass,
    take,
    waiting,
)
from workers.inbox import ENTRIES_PER_CALL, Reaper


def test_while_workers_are_away_nothing_is_given_up_and_no_queue_grows(
    inbox: Inbox, reaper: Reaper, redis_client: Redis
) -> None:
    accepted = [f"t{number}" for number in range(50)]
    for entry_id in accepted:
        accept(redis_client, entry_id)

    for _ in range(120):
        let_time_pass(redis_client, OVERDUE_S + 1)
        assert reaper.run() == 0

    assert waiting(redis_client) == accepted
    assert dead(redis_client) == []
    assert {attempts_of(redis_client, entry_id) for entry_id in accepted} == {0}
    for entry_id in accepted:
        claim = inbox.claim(take(redis_client))
        assert claim is not None
        assert finish(redis_client, entry_id) == 1
    assert redis_client.zcard(names.INBOX_DUE) == 0


def test_a_message_lost_between_pop_and_claim_is_pushed_again_once(reaper: Reaper, redis_client: Redis) -> None:
    accept(redis_client, "lost")
    redis_client.hincrby(names.inbox_key("lost"), "enqueued_ms", -5000)
    accept(redis_client, "behind")
    assert take(redis_client) == "lost"

    for _ in range(5):
        let_time_pass(redis_client, OVERDUE_S + 1)
        reaper.run()

    assert waiting(redis_client) == ["behind", "lost"]
    assert attempts_of(redis_client, "lost") == 0


def test_a_message_that_kombu_put_back_first_holds_the_others_back(reaper: Reaper, redis_client: Redis) -> None:
    for entry_id in ("t1", "t2"):
        accept(redis_client, entry_id)
    popped: Any = redis_client.rpop(names.QUEUE_ACCEPTED)
    redis_client.rpush(names.QUEUE_ACCEPTED, popped)

    let_time_pass(redis_client, OVERDUE_S + 1)

    assert reaper.run() == 0
    assert waiting(redis_client) == ["t1", "t2"]


@pytest.mark.parametrize("foreign", [b"no json", b'{"headers":null}', b"[1]", b'{"headers":{"enqueued_ms":null}}'])
def test_a_message_without_a_stamp_delays_and_never_blocks(reaper: Reaper, redis_client: Redis, foreign: bytes) -> None:
    redis_client.lpush(names.QUEUE_ACCEPTED, foreign)
    accept(redis_client, "t1")
    let_time_pass(redis_client, OVERDUE_S + 1)
    assert reaper.run() == 0

    redis_client.hincrby(names.inbox_key("t1"), "enqueued_ms", -10 * OVERDUE_S * 1000)
    let_time_pass(redis_client, OVERDUE_S + 1)
    assert reaper.run() == 1

    let_time_pass(redis_client, OVERDUE_S + 1)
    assert reaper.run() == 0, "the new message has all of that time again"


def test_more_than_one_call_is_looked_at_in_a_run(reaper: Reaper, redis_client: Redis) -> None:
    for number in range(ENTRIES_PER_CALL + 10):
        accept(redis_client, f"t{number}")
        redis_client.hincrby(names.inbox_key(f"t{number}"), "enqueued_ms", -5000)
    redis_client.delete(names.QUEUE_ACCEPTED)
    let_time_pass(redis_client, OVERDUE_S + 1)

    assert reaper.run() == ENTRIES_PER_CALL + 10


def test_what_was_accepted_for_another_queue_goes_back_to_that_one(reaper: Reaper, redis_client: Redis) -> None:
    accept(redis_client, "of-an-earlier-release")
    redis_client.hset(names.inbox_key("of-an-earlier-release"), "queue", names.QUEUE_SCORE)
    take(redis_client)
    accept(redis_client, "younger")
    let_time_pass(redis_client, OVERDUE_S + 1)

    assert reaper.run() == 1
    assert waiting(redis_client, names.QUEUE_SCORE) == ["of-an-earlier-release"]
    assert waiting(redis_client) == ["younger"]
