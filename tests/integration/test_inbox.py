"""Accepted work is tried, never given up untried, and never pushed without bound: claims, failures and the reaper."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from celery.signals import before_task_publish
from redis import Redis

from config import names
from config.celery_app import make_celery
from config.contracts import Decision, JournalEntry, JournalRecord, LabelEntry
from config.errors import LedgerUnavailable
from config.queue.inbox import Inbox
from config.queue.messages import PublishStamp, task_message
from config.queue.server_scripts import register
from config.queue.stamps import ENQUEUED_HEADER, read_stamp
from config.queue.stats import broker_stats, queue_stats
from config.schema.load import load_schema
from config.settings import DEFAULT_SCHEMA, Settings
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger, StoredDecision
from tests.inbox_work import (
    SETTINGS,
    accept,
    app,
    attempts_of,
    finish,
    let_time_pass,
    row,
    take,
    waiting,
)
from workers import background, scoring
from workers.background import BackgroundRuntime
from workers.inbox import ENTRIES_PER_CALL, Reaper
from workers.labels import record_label
from workers.store import Finished

OVERDUE_S = SETTINGS.inbox_overdue_s


@pytest.fixture
def inbox(redis_client: Redis) -> Inbox:
    return Inbox(redis_client, SETTINGS, rng=random.Random(1))


@pytest.fixture
def reaper(redis_client: Redis) -> Reaper:
    return Reaper(redis_client, app(), SETTINGS)


def dead(client: Redis) -> list[bytes]:
    found: Any = client.zrange(names.DEAD_LETTERS, 0, -1)
    return list(found)


def due_in_s(client: Redis, entry_id: str) -> float:
    score: Any = client.zscore(names.INBOX_DUE, entry_id)
    now_s, now_us = client.time()
    return float(score - now_s - now_us / 1e6)


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
    popped: Any = redis_client.rpop(names.QUEUE_SCORE)
    redis_client.rpush(names.QUEUE_SCORE, popped)

    let_time_pass(redis_client, OVERDUE_S + 1)

    assert reaper.run() == 0
    assert waiting(redis_client) == ["t1", "t2"]


@pytest.mark.parametrize("foreign", [b"no json", b'{"headers":null}', b"[1]", b'{"headers":{"enqueued_ms":null}}'])
def test_a_message_without_a_stamp_delays_and_never_blocks(reaper: Reaper, redis_client: Redis, foreign: bytes) -> None:
    redis_client.lpush(names.QUEUE_SCORE, foreign)
    accept(redis_client, "t1")
    let_time_pass(redis_client, OVERDUE_S + 1)
    assert reaper.run() == 0

    redis_client.hincrby(names.inbox_key("t1"), "enqueued_ms", -10 * OVERDUE_S * 1000)
    let_time_pass(redis_client, OVERDUE_S + 1)
    assert reaper.run() == 1

    let_time_pass(redis_client, OVERDUE_S + 1)
    assert reaper.run() == 0, "the new message has all of that time again"


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


def test_more_than_one_call_is_looked_at_in_a_run(reaper: Reaper, redis_client: Redis) -> None:
    for number in range(ENTRIES_PER_CALL + 10):
        accept(redis_client, f"t{number}")
        redis_client.hincrby(names.inbox_key(f"t{number}"), "enqueued_ms", -5000)
    redis_client.delete(names.QUEUE_SCORE)
    let_time_pass(redis_client, OVERDUE_S + 1)

    assert reaper.run() == ENTRIES_PER_CALL + 10


def test_the_age_of_a_queue_is_that_of_the_message_consumed_next(redis_client: Redis) -> None:
    accept(redis_client, "t1")
    message: Any = redis_client.rpop(names.QUEUE_SCORE)
    envelope = json.loads(message)
    envelope["headers"]["enqueued_ms"] -= 60_000
    redis_client.rpush(names.QUEUE_SCORE, json.dumps(envelope))
    accept(redis_client, "t2")

    stats = queue_stats(redis_client)

    assert 60 <= stats["queue_oldest_age_s_score"] < 120
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
        publisher.send_task(names.TASK_REAP_INBOX, queue=names.QUEUE_BACKGROUND, ignore_result=True)
    finally:
        before_task_publish.disconnect(dispatch_uid=ENQUEUED_HEADER)
        publisher.close()

    message: Any = redis_client.lindex(names.QUEUE_BACKGROUND, -1)
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


class LateLedger(Ledger):
    """A ledger that is down at first, then does not know the decision yet."""

    is_down = True

    def decision_by_id(self, decision_id: str) -> StoredDecision | None:
        if self.is_down:
            raise LedgerUnavailable("the database does not answer")
        return super().decision_by_id(decision_id)


@pytest.fixture
def ledger(redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LateLedger:
    """The ledger of an installed background runtime."""
    schema = load_schema(DEFAULT_SCHEMA)
    ledger = LateLedger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=schema)
    ledger.migrate()
    spec = FeatureSpec.from_schema(schema, SETTINGS.history_events)
    runtime = BackgroundRuntime(SETTINGS, redis_client, ledger, schema, spec, app(), "background@test")
    monkeypatch.setattr(background, "_runtime", runtime)
    return ledger


def accept_label(client: Redis, label: LabelEntry) -> str:
    entry_id = f"label:{label.label_id}"
    message = task_message(app(), names.TASK_RECORD_LABEL, names.QUEUE_BACKGROUND).render(entry_id)
    register(client, "accept")(
        keys=["", names.inbox_key(entry_id), names.INBOX_DUE, names.QUEUE_BACKGROUND],
        args=[label.label_id, entry_id, msgspec.json.encode(label), names.TASK_RECORD_LABEL, message, OVERDUE_S],
    )
    return entry_id


def test_a_label_outlives_a_ledger_outage_and_a_decision_that_is_late(
    ledger: LateLedger, reaper: Reaper, redis_client: Redis
) -> None:
    entry_id = accept_label(redis_client, LabelEntry("l1", True, "chargeback", 2.0, 3.0, "d1", "t1"))

    for round_number in range(20):
        ledger.is_down = round_number < 10
        record_label(take(redis_client, names.QUEUE_BACKGROUND))
        assert dead(redis_client) == []
        assert attempts_of(redis_client, entry_id) == 0
        let_time_pass(redis_client, 61)
        assert reaper.run() == 1

    assert redis_client.hget(names.inbox_key(entry_id), "failure") == b"the decision about t1 is not in the ledger yet"


def test_a_label_that_came_before_its_decision_is_recorded_against_it(ledger: LateLedger, redis_client: Redis) -> None:
    entry_id = accept_label(redis_client, LabelEntry("l1", True, "chargeback", 2.0, 3.0, None, "t1"))
    record_label(entry_id)
    assert redis_client.exists(names.inbox_key(entry_id)), "it waits for the decision"

    decision = Decision("d1", "t1", 0.1, False, 10, "low", "approve", [], "m1", "2026-01-01T00:00:00.000Z")
    schema = load_schema(DEFAULT_SCHEMA)
    record = JournalRecord(1, "f" * 16, schema.digest, 1, 1.0, 5.0, row("t1").values, {})
    ledger.store([JournalEntry(decision, record, b"")])
    record_label(entry_id)

    [(_, fields)] = redis_client.xrange(names.JOURNAL)
    assert msgspec.json.decode(fields[b"l"], type=LabelEntry).decision_id == "d1"
    assert not redis_client.exists(names.inbox_key(entry_id))


def test_a_label_that_can_be_recorded_leaves_the_inbox(ledger: LateLedger, redis_client: Redis) -> None:
    values: list[Any] = row("t1").values
    entry_id = accept_label(redis_client, LabelEntry("l1", True, "api", 2.0, 3.0, digest="f" * 16, values=values))

    record_label(entry_id)

    assert not redis_client.exists(names.inbox_key(entry_id))
    assert redis_client.zcard(names.INBOX_DUE) == 0
    assert redis_client.xlen(names.JOURNAL) == 1


def test_a_label_that_cannot_be_read_becomes_a_dead_letter(ledger: LateLedger, redis_client: Redis) -> None:
    entry_id = accept_label(redis_client, LabelEntry("l1", True, "api", 2.0, 3.0))
    redis_client.hset(names.inbox_key(entry_id), "payload", b"{")

    for _ in range(3):
        with pytest.raises(msgspec.DecodeError):
            record_label(entry_id)

    assert dead(redis_client) == [entry_id.encode()]
    assert redis_client.hget(names.inbox_key(entry_id), "failure") == b"DecodeError"
