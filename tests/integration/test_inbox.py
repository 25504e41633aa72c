"""Accepted work is tried, and never given up untried: claims, failures, dead letters."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import redis
from celery.signals import before_task_publish
from redis import Redis
from redis._parsers import BaseParser

from config import names
from config.celery_app import make_celery
from config.queue.inbox import Inbox
from config.queue.messages import PublishStamp
from config.queue.stamps import ENQUEUED_HEADER, read_stamp
from config.queue.stats import broker_stats, queue_stats
from config.settings import Settings
from tests.inbox_work import (
    OVERDUE_S,
    SETTINGS,
    accept,
    attempts_of,
    dead,
    due_in_s,
    finish,
    let_time_pass,
    row,
    take,
    waiting,
)
from workers import scoring
from workers.inbox import Reaper
from workers.store import Finished

parse_error = BaseParser.parse_error
"""What redis-py makes of an error as the server writes it."""


def test_a_claim_counts_one_attempt_and_hands_out_what_was_accepted(inbox: Inbox, redis_client: Redis) -> None:
    accept(redis_client, "t1")

    claim = inbox.claim(take(redis_client))

    assert claim is not None
    assert (claim.attempt, claim.deferrals) == (1, 0)
    assert claim.payload == msgspec.json.encode(row("t1"))
    assert attempts_of(redis_client, "t1") == 1
    assert OVERDUE_S - 2 < due_in_s(redis_client, "t1") <= OVERDUE_S


def test_finished_work_is_nothing_to_claim(inbox: Inbox, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    assert finish(redis_client, "t1") == 1

    assert inbox.claim(take(redis_client)) is None
    assert redis_client.zcard(names.INBOX_DUE) == 0


def test_workers_that_die_on_an_entry_three_times_make_it_a_dead_letter(
    inbox: Inbox, reaper: Reaper, redis_client: Redis
) -> None:
    accept(redis_client, "t1")

    for attempt in (1, 2, 3):
        claim = inbox.claim(take(redis_client))
        assert claim is not None, "killed here: claimed, never finished"
        assert claim.attempt == attempt
        assert reaper.run() == 0, "its lease still runs"
        let_time_pass(redis_client, OVERDUE_S + 1)
        assert reaper.run() == 1

    assert inbox.claim(take(redis_client)) is None
    assert dead(redis_client) == [b"t1"]
    assert attempts_of(redis_client, "t1") == 3
    let_time_pass(redis_client, 10 * OVERDUE_S)
    assert reaper.run() == 0


def test_a_known_failure_is_noted_and_tried_again_soon(inbox: Inbox, reaper: Reaper, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    for attempt, longest_s in ((1, 1.0), (2, 2.0)):
        claim = inbox.claim(take(redis_client))
        assert claim is not None
        assert claim.attempt == attempt
        inbox.fail(claim, f"reason {attempt}")
        assert longest_s / 2 - 0.5 < due_in_s(redis_client, "t1") <= longest_s
        assert redis_client.hget(names.inbox_key("t1"), "failure") == f"reason {attempt}".encode()
        let_time_pass(redis_client, longest_s)
        assert reaper.run() == 1

    claim = inbox.claim(take(redis_client))
    assert claim is not None
    inbox.fail(claim, "reason 3")

    assert dead(redis_client) == [b"t1"]
    assert redis_client.hget(names.inbox_key("t1"), "failure") == b"reason 3"
    assert redis_client.zcard(names.INBOX_DUE) == 0


def test_a_failure_that_a_later_attempt_has_overtaken_moves_nothing(inbox: Inbox, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    slow = inbox.claim(take(redis_client))
    assert slow is not None
    inbox.claim("t1")

    inbox.fail(slow, "too slow")

    assert due_in_s(redis_client, "t1") > OVERDUE_S - 5
    assert attempts_of(redis_client, "t1") == 2


def test_only_the_attempt_at_work_keeps_the_rest_of_an_entry(inbox: Inbox, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    first = inbox.claim("t1")
    assert first is not None
    inbox.keep(first, b"the rest")
    second = inbox.claim("t1")
    assert second is not None
    assert second.payload == b"the rest"

    inbox.keep(first, b"what the first had left")
    assert redis_client.hget(names.inbox_key("t1"), "payload") == b"the rest"
    finish(redis_client, "t1")
    inbox.keep(second, b"what the second had left")
    assert not redis_client.exists(names.inbox_key("t1")), "it is finished"


def test_putting_off_uses_up_no_attempt_however_often(inbox: Inbox, reaper: Reaper, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    for deferrals in range(100):
        claim = inbox.claim(take(redis_client))
        assert claim is not None
        assert (claim.attempt, claim.deferrals) == (1, deferrals)
        inbox.defer(claim, "not there yet")
        assert due_in_s(redis_client, "t1") <= min(60, 2**deferrals)
        let_time_pass(redis_client, 61)
        assert reaper.run() == 1

    assert due_in_s(redis_client, "t1") > 0
    assert dead(redis_client) == []


def test_an_attempt_put_off_is_given_back_though_a_later_one_is_at_work(inbox: Inbox, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    early = inbox.claim(take(redis_client))
    assert early is not None
    inbox.claim("t1")

    inbox.defer(early, "not there yet")

    assert attempts_of(redis_client, "t1") == 1
    assert due_in_s(redis_client, "t1") > OVERDUE_S - 5, "the later one's lease counts"


@pytest.mark.parametrize(
    "lost",
    [
        redis.ConnectionError("reset"),
        redis.TimeoutError("no answer"),
        redis.OutOfMemoryError("command not allowed"),
        parse_error("MISCONF Errors writing to the AOF file"),
        parse_error("MASTERDOWN Link with MASTER is down"),
        parse_error("NOREPLICAS Not enough good replicas to write"),
    ],
)
def test_attempts_that_the_broker_failed_are_none(inbox: Inbox, redis_client: Redis, lost: Exception) -> None:
    accept(redis_client, "t1")
    take(redis_client)

    for _ in range(2 * SETTINGS.inbox_attempts):
        claim = inbox.claim("t1")
        assert claim is not None
        assert claim.attempt == 1
        with pytest.raises(type(lost)), inbox.failures_recorded(claim):
            raise lost

    inbox.hand_back()
    assert attempts_of(redis_client, "t1") == 0


def test_a_command_that_the_broker_refuses_for_itself_is_a_failure_of_the_work(
    inbox: Inbox, redis_client: Redis
) -> None:
    accept(redis_client, "t1")
    claim = inbox.claim(take(redis_client))
    assert claim is not None

    with pytest.raises(redis.ResponseError), inbox.failures_recorded(claim):
        redis_client.execute_command("INCR", names.inbox_key("t1"))

    assert attempts_of(redis_client, "t1") == 1
    assert redis_client.hget(names.inbox_key("t1"), "failure") == b"ResponseError"


def test_an_attempt_that_ends_after_its_entry_was_given_up_still_counts(inbox: Inbox, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    for _ in range(4):
        inbox.claim("t1")
    assert dead(redis_client) == [b"t1"]

    assert finish(redis_client, "t1") == 1

    assert dead(redis_client) == []
    assert not redis_client.exists(names.inbox_key("t1"))


def test_a_stray_message_does_not_revive_a_dead_letter(inbox: Inbox, redis_client: Redis) -> None:
    accept(redis_client, "t1")
    for _ in range(4):
        inbox.claim("t1")

    assert inbox.claim("t1") is None
    assert accept(redis_client, "t1") == "L"
    assert accept(redis_client, "t1", digest="f" * 16) == "C"
    assert waiting(redis_client) == ["t1"], "only the first message"


def test_the_age_of_a_queue_is_that_of_the_message_consumed_next(redis_client: Redis) -> None:
    accept(redis_client, "t1")
    message: Any = redis_client.rpop(names.QUEUE_ACCEPTED)
    envelope = json.loads(message)
    envelope["headers"]["enqueued_ms"] -= 60_000
    redis_client.rpush(names.QUEUE_ACCEPTED, json.dumps(envelope))
    accept(redis_client, "t2")

    stats = queue_stats(redis_client)

    assert 60 <= stats["queue_oldest_age_s_accepted"] < 120
    assert stats["queue_oldest_age_s_background"] == 0


def test_how_far_behind_inbox_and_journals_are_is_told_in_seconds(redis_client: Redis) -> None:
    calm = broker_stats(redis_client)
    now_s, _ = redis_client.time()
    redis_client.xadd(names.JOURNAL, {"d": "{}"}, id=f"{(now_s - 90) * 1000}-1")
    redis_client.xadd(names.JOURNAL, {"d": "{}"})
    redis_client.zadd(names.INBOX_DUE, {"t1": now_s - 30, "t2": now_s + 30})

    late = broker_stats(redis_client)

    assert (calm["journal_lag_s"], calm["journal_bulk_lag_s"], calm["inbox_overdue_s"]) == (0, 0, 0)
    assert 90 <= late["journal_lag_s"] < 150
    assert late["journal_bulk_lag_s"] == 0
    assert 30 <= late["inbox_overdue_s"] < 90
    assert 0 < late["broker_memory_bytes"] < late["broker_memory_limit_bytes"]


def test_what_celery_itself_publishes_carries_the_servers_time(redis_client: Redis, redis_url: str) -> None:
    publisher = make_celery(Settings(redis_url=redis_url), "background")
    before_s, _ = redis_client.time()
    PublishStamp(redis_client).connect()
    try:
        publisher.send_task(names.TASK_REAP_INBOX, ignore_result=True)
    finally:
        before_task_publish.disconnect(dispatch_uid=ENQUEUED_HEADER)
        publisher.close()

    message: Any = redis_client.lindex(names.QUEUE_TICKS, -1)
    after_s, _ = redis_client.time()
    assert before_s * 1000 - 1000 <= read_stamp(message) <= after_s * 1000 + 1000


class TestScoringTask:
    """What `score_accepted` does with a row that cannot be scored."""

    @pytest.fixture(autouse=True)
    def runtime(self, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scoring, "scoring_runtime", lambda: SimpleNamespace(inbox=inbox))

    def test_a_row_that_the_model_refuses_is_a_failed_attempt(
        self, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scoring, "finish_rows", lambda rows, **_: [Finished(rows[0], "E")])
        accept(redis_client, "t1")

        for _ in range(3):
            scoring.score_accepted("t1")

        assert dead(redis_client) == [b"t1"]
        assert redis_client.hget(names.inbox_key("t1"), "failure") == scoring.NOT_SCORED.encode()

    def test_an_exception_is_noted_by_its_name_and_goes_on(
        self, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def crash(_rows: object, **_: object) -> None:
            raise ValueError("card 4000 0000 0000 0002")

        monkeypatch.setattr(scoring, "finish_rows", crash)
        accept(redis_client, "t1")

        with pytest.raises(ValueError, match="card"):
            scoring.score_accepted("t1")

        assert redis_client.hget(names.inbox_key("t1"), "failure") == b"ValueError"
        assert due_in_s(redis_client, "t1") <= 1
