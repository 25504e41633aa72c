"""The two scripts that every decision goes through, on a real server."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from redis import Redis

from config import names
from config.contracts import ScoreRow
from config.schema.load import parse_schema
from config.settings import Settings
from ml.features.spec import FeatureSpec
from workers.store import Finished, Observed, TransactionStore, log_lifetime_s

SCHEMA = """
name = "cards"
version = 1

[roles]
amount = "amount"
event_time = "at"
label = "fraud"
entities = { card = "card" }

[fields.card]
type = "id"
required = false

[fields.amount]
type = "number"

[fields.at]
type = "timestamp"

[features.card_count_24h]
entity = "card"
aggregate = "count"
window = "24h"

[features.card_amount_sum_24h]
entity = "card"
aggregate = "sum"
window = "24h"

[features.card_fraud_rate_30d]
entity = "card"
aggregate = "fraud_rate"
window = "30d"
"""


@pytest.fixture
def spec() -> FeatureSpec:
    return FeatureSpec.from_schema(parse_schema(SCHEMA), history_events=8)


@pytest.fixture
def settings() -> Settings:
    return Settings(history_events=8, history_retain_s=60)


@pytest.fixture
def store(redis_client: Redis, settings: Settings) -> TransactionStore:
    return TransactionStore(redis_client, settings)


def row(number: int, *, card: str | None = "c1", digest: str = "0" * 16, deadline_ms: int = 0) -> ScoreRow:
    values: list[Any] = [card, float(number), 1000.0 + number]
    return ScoreRow(f"t{number}", digest, deadline_ms, 1_000_000, values)


def events(observed: Observed) -> list[tuple[float, ...]]:
    log = observed.logs[0][0]
    return [struct.unpack_from("<dd", log, at) for at in range(0, len(log), 16)]


def decided(observed: Observed, decision_id: str = "d") -> Finished:
    decision = json.dumps({"decision_id": decision_id}).encode()
    return Finished(observed.row, "N", decision, b"{}", b"")


def test_each_transaction_sees_those_before_it_and_not_itself(store: TransactionStore, spec: FeatureSpec) -> None:
    first, second, third = store.observe([row(1), row(2), row(3)], spec)

    assert events(first) == []
    assert [time for time, _ in events(second)] == [1001.0]
    assert events(third) == [(1001.0, 1.0), (1002.0, 2.0)]
    assert [first.sequence, second.sequence, third.sequence] == [1, 2, 3]


def test_only_a_transaction_that_names_an_entity_has_seen_something(store: TransactionStore, spec: FeatureSpec) -> None:
    with_card, without = store.observe([row(1), row(2, card=None)], spec)

    assert (with_card.has_seen, without.has_seen) == (True, False)
    assert (with_card.sequence, without.sequence) == (1, 0)


def test_the_log_of_an_entity_with_few_events_lives_on_with_each_of_them(
    store: TransactionStore, spec: FeatureSpec, redis_client: Redis
) -> None:
    store.observe([row(1)], spec)
    [key] = redis_client.keys("tollgate:history:*")
    lifetime_s = log_lifetime_s(spec.schema)
    redis_client.expire(key, lifetime_s - 86_400)

    store.observe([row(2)], spec)

    assert lifetime_s - 60 <= redis_client.ttl(key) <= lifetime_s


def test_a_redelivered_transaction_sees_exactly_what_its_first_attempt_saw(
    store: TransactionStore, spec: FeatureSpec
) -> None:
    store.observe([row(n) for n in range(1, 6)], spec)
    first_attempt = store.observe([row(6)], spec)[0]
    store.observe([row(n) for n in range(7, 40)], spec)

    second_attempt = store.observe([row(6)], spec)[0]

    assert second_attempt.status == "S"
    assert second_attempt.sequence == first_attempt.sequence
    assert second_attempt.logs == first_attempt.logs


def test_a_transaction_is_counted_in_history_once_however_often_it_is_delivered(
    store: TransactionStore, spec: FeatureSpec
) -> None:
    for _ in range(3):
        store.observe([row(1)], spec)

    assert len(events(store.observe([row(2)], spec)[0])) == 1


def test_a_transaction_sees_at_most_the_declared_number_of_events(store: TransactionStore, spec: FeatureSpec) -> None:
    store.observe([row(n) for n in range(1, 31)], spec)

    assert [amount for _, amount in events(store.observe([row(99)], spec)[0])] == [float(n) for n in range(23, 31)]


def test_logs_stay_bounded_once_old_events_can_no_longer_be_asked_for(
    store: TransactionStore, spec: FeatureSpec, redis_client: Redis
) -> None:
    key = names.history_key("card", spec.entities[0].record, "c1")
    for start in range(1, 1001, 50):
        store.observe([row(n) for n in range(start, start + 50)], spec)
        # The mark is set back, as if the retention time had passed since it was made.
        base, mark, _ = struct.unpack("<ddd", redis_client.getrange(key, 0, 23))
        redis_client.setrange(key, 0, struct.pack("<ddd", base, mark, 0))

    assert redis_client.strlen(key) <= 24 + 16 * (8 + 2 * 50)
    assert [amount for _, amount in events(store.observe([row(5000)], spec)[0])] == [float(n) for n in range(993, 1001)]


def test_a_late_row_is_dropped_before_it_touches_history(store: TransactionStore, spec: FeatureSpec) -> None:
    late = store.observe([row(1, deadline_ms=1)], spec)[0]

    assert late.status == "X"
    assert events(store.observe([row(2)], spec)[0]) == []


def test_a_late_row_that_history_has_seen_is_finished_all_the_same(store: TransactionStore, spec: FeatureSpec) -> None:
    store.observe([row(1)], spec)

    assert store.observe([row(1, deadline_ms=1)], spec)[0].status == "S"


def test_the_first_decision_stays_and_the_second_attempt_is_told_of_it(
    store: TransactionStore, spec: FeatureSpec, redis_client: Redis
) -> None:
    attempt_a = store.observe([row(1)], spec)[0]
    attempt_b = store.observe([row(1)], spec)[0]

    assert store.commit([decided(attempt_a, "first")], reply_to="replies", batch_id=7) == 1
    assert store.commit([decided(attempt_b, "second")], reply_to="replies", batch_id=8) == 0

    replies = [json.loads(item) for item in redis_client.lrange("replies", 0, -1)]
    assert replies == [[7, [["N", {"decision_id": "first"}]]], [8, [["D", {"decision_id": "first"}]]]]
    assert redis_client.xlen(names.JOURNAL) == 1
    assert store.observe([row(1)], spec)[0].decision == b'{"decision_id": "first"}'


def test_replies_to_a_web_process_that_died_do_not_stay(
    store: TransactionStore, spec: FeatureSpec, redis_client: Redis, settings: Settings
) -> None:
    store.commit([decided(store.observe([row(1)], spec)[0])], reply_to=names.reply_key("dead"), batch_id=1)

    assert 0 < redis_client.ttl(names.reply_key("dead")) <= settings.max_wait_s + 30


def test_the_same_id_with_other_content_is_a_conflict_decided_or_not(
    store: TransactionStore, spec: FeatureSpec
) -> None:
    observed = store.observe([row(1)], spec)[0]
    assert store.observe([row(1, digest="f" * 16)], spec)[0].status == "C"

    store.commit([decided(observed)], reply_to="", batch_id=0)
    assert store.observe([row(1, digest="f" * 16)], spec)[0].status == "C"


def test_finishing_accepted_work_deletes_its_inbox_entry_and_a_failure_keeps_it(
    store: TransactionStore, spec: FeatureSpec, redis_client: Redis
) -> None:
    for number in (1, 2):
        redis_client.hset(names.inbox_key(f"t{number}"), "payload", "x")
        redis_client.zadd(names.INBOX_DUE, {f"t{number}": 1})
    good, bad = store.observe([row(1), row(2)], spec)

    store.commit(
        [
            Finished(good.row, "N", b"{}", b"{}", b"", is_from_inbox=True),
            Finished(bad.row, "E", is_from_inbox=True),
        ],
        reply_to="",
        batch_id=0,
    )

    assert redis_client.zrange(names.INBOX_DUE, 0, -1) == [b"t2"]
    assert not redis_client.exists(names.inbox_key("t1"))
    assert redis_client.exists(names.inbox_key("t2"))


def test_a_canary_is_answered_and_leaves_no_trace(
    store: TransactionStore, spec: FeatureSpec, redis_client: Redis
) -> None:
    canary = ScoreRow("canary", "0" * 16, 0, 1_000_000, [None] * 3, is_canary=True)
    observed = store.observe([canary], spec)[0]

    store.commit([Finished(observed.row, "K", b"{}")], reply_to="replies", batch_id=1)

    assert json.loads(redis_client.lrange("replies", 0, -1)[0]) == [1, [["K", {}]]]
    assert redis_client.keys("tollgate:*") == []


def test_a_row_without_the_entity_has_no_history(store: TransactionStore, spec: FeatureSpec) -> None:
    assert store.observe([row(1, card=None)], spec)[0].logs == [(b"", b"")]


def test_a_schema_that_keeps_other_fields_starts_logs_of_its_own(store: TransactionStore, spec: FeatureSpec) -> None:
    store.observe([row(1)], spec)
    without_sum = SCHEMA.replace('aggregate = "sum"', 'aggregate = "count"')
    other = FeatureSpec.from_schema(parse_schema(without_sum), history_events=8)

    assert store.observe([row(2)], other)[0].logs[0][0] == b""


def test_a_row_without_entities_leaves_nothing_behind_but_its_decision(
    store: TransactionStore, spec: FeatureSpec, redis_client: Redis
) -> None:
    observed = store.observe([row(1, card=None)], spec)[0]
    assert redis_client.keys("tollgate:seen:*") == []

    store.commit([decided(observed)], reply_to="", batch_id=0)

    assert store.observe([row(1, card=None)], spec)[0].status == "D"
