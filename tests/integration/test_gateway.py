"""The gateway on a real broker: accepted work is durable, failures are quick, labels find their decision.

No worker runs here: a test plays the worker where an answer is needed, by the very scripts that workers use.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from config import names
from config.contracts import LabelEntry, ScoreBatch, ScoreRow
from config.errors import BrokerUnavailable, LabelConflict, NotReady, Overloaded, TransactionConflict, UnknownId
from config.schema.load import load_schema
from config.schema.validate import Transaction, compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from ml.ledger import Ledger
from tests.servers import RunningValkey, running_valkey
from web.gateway import Gateway
from web.ledger_reader import LedgerReader
from web.ports.labels import Label
from workers.store import Finished, TransactionStore

SEED = {
    "amount": 1500.0,
    "hour": 3,
    "day_of_week": 1,
    "merchant_category": "online",
    "previous_amount": 50.0,
    "time_since_last": 0.5,
}
SCHEMA = load_schema(DEFAULT_SCHEMA)


def transaction(**changes: object) -> Transaction:
    return compile_validator(SCHEMA).validate(SEED | changes)


def open_gateway(redis_url: str, tmp_path: Path, **changes: Any) -> Gateway:
    settings = Settings(redis_url=redis_url, broker_timeout_s=0.3, breaker_reset_s=0.2, **changes)
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    ledger.migrate()
    gateway = Gateway(settings, SCHEMA, LedgerReader(ledger, SCHEMA))
    gateway.start()
    return gateway


@pytest.fixture
def gateway(redis_url: str, tmp_path: Path) -> Iterator[Gateway]:
    gateway = open_gateway(redis_url, tmp_path)
    yield gateway
    gateway.close()


def take_batch(client: Redis) -> ScoreBatch:
    """The next batch on the queue, taken off its consuming end."""
    _, message = client.brpop([names.QUEUE_SCORE], timeout=5)
    body = json.loads(base64.b64decode(json.loads(message)["body"]))
    return msgspec.json.decode(body[0][0], type=ScoreBatch)


def play_worker(client: Redis, *, decision: dict[str, Any]) -> None:
    """Take one batch off the queue and answer it."""
    batch = take_batch(client)
    finished = [
        Finished(
            row,
            "N",
            json.dumps(decision | {"transaction_id": row.transaction_id}).encode(),
            b'{"digest":"' + row.digest.encode() + b'"}',
            b"",
        )
        for row in batch.rows
    ]
    TransactionStore(client, Settings()).commit(finished, reply_to=batch.reply_to, batch_id=batch.batch_id)


def test_a_score_comes_back_byte_for_byte(gateway: Gateway, redis_client: Redis) -> None:
    worker = threading.Thread(target=play_worker, args=(redis_client,), kwargs={"decision": {"decision_id": "d1"}})
    worker.start()

    outcome = gateway.score(transaction(), transaction_id="t1", wait_ms=5000, explain=False)
    worker.join()

    assert outcome.status == "decided"
    assert outcome.decision_json == b'{"decision_id": "d1", "transaction_id": "t1"}'
    assert gateway.find("t1").decision_json == outcome.decision_json


def test_without_a_worker_the_deadline_ends_the_wait_and_nothing_is_accepted(gateway: Gateway) -> None:
    assert gateway.score(transaction(), transaction_id="t1", wait_ms=50, explain=False).status == "pending"
    assert gateway.find("t1").status == "unknown"


def test_accepted_work_is_in_the_inbox_and_on_the_queue_together(gateway: Gateway, redis_client: Redis) -> None:
    assert gateway.accept(transaction(), transaction_id="t1", explain=False).status == "pending"

    payload = redis_client.hget(names.inbox_key("t1"), "payload")
    assert msgspec.json.decode(payload, type=ScoreRow).transaction_id == "t1"
    assert redis_client.llen(names.QUEUE_ACCEPTED) == 1
    assert redis_client.zscore(names.INBOX_DUE, "t1") is not None
    assert gateway.find("t1").status == "pending"


def test_accepting_twice_enqueues_once_and_other_content_is_a_conflict(gateway: Gateway, redis_client: Redis) -> None:
    for _ in range(2):
        gateway.accept(transaction(), transaction_id="t1", explain=False)

    assert redis_client.llen(names.QUEUE_ACCEPTED) == 1
    with pytest.raises(TransactionConflict):
        gateway.accept(transaction(amount=2.0), transaction_id="t1", explain=False)


def test_a_decision_by_the_rules_is_stored_once_and_journalled(gateway: Gateway, redis_client: Redis) -> None:
    first = gateway.decide_by_rules(transaction(amount=9000.0), transaction_id="t1", explain=False)
    second = gateway.decide_by_rules(transaction(amount=9000.0), transaction_id="t1", explain=False)

    decision = json.loads(first.decision_json or b"")
    assert decision["action"] == "decline"
    assert decision["degraded"] is True
    assert decision["reasons"][0]["code"] == "AMOUNT_RULE"
    assert not first.replayed
    assert second.replayed
    assert second.decision_json == first.decision_json
    assert redis_client.xlen(names.JOURNAL) == 1


def label(**about: Any) -> Label:

    return Label(label_id="l1", is_fraud=True, source="chargeback", known_at=datetime(2026, 1, 1, tzinfo=UTC), **about)


def test_a_label_finds_a_decision_that_the_ledger_does_not_have_yet(gateway: Gateway) -> None:
    decided = gateway.decide_by_rules(transaction(), transaction_id="t1", explain=False)
    decision_id = json.loads(decided.decision_json or b"")["decision_id"]

    for about in (
        {"transaction_id": "t1"},
        {"decision_id": decision_id},
        {"digest": transaction().digest, "values": tuple(transaction().values)},
    ):
        outcome = gateway.record_label(replace(label(**about), label_id=f"l-{len(about)}-{next(iter(about))}"))
        assert (outcome.matched, outcome.transaction_id, outcome.decision_id) == (True, "t1", decision_id)


def test_a_label_for_an_unknown_id_is_refused_and_one_by_content_stands_alone(
    gateway: Gateway, redis_client: Redis
) -> None:
    with pytest.raises(UnknownId):
        gateway.record_label(label(transaction_id="nobody"))
    with pytest.raises(UnknownId):
        gateway.record_label(label(decision_id="nobody"))

    outcome = gateway.record_label(label(digest="f" * 16, values=tuple(transaction().values)))

    assert not outcome.matched
    assert redis_client.llen(names.QUEUE_BACKGROUND) == 1


def test_a_label_id_that_said_something_else_before_is_a_conflict(gateway: Gateway) -> None:
    gateway.decide_by_rules(transaction(), transaction_id="t1", explain=False)
    said = label(transaction_id="t1")
    gateway.record_label(said)

    assert gateway.record_label(said).matched
    with pytest.raises(LabelConflict):
        gateway.record_label(replace(said, is_fraud=False))


def test_a_label_about_what_is_accepted_and_not_decided_waits_for_the_decision(
    gateway: Gateway, redis_client: Redis
) -> None:
    gateway.accept(transaction(), transaction_id="t1", explain=False)

    outcome = gateway.record_label(label(transaction_id="t1"))

    assert (outcome.matched, outcome.transaction_id, outcome.decision_id) == (True, "t1", None)
    kept = msgspec.json.decode(redis_client.hget(names.inbox_key("label:l1"), "payload"), type=LabelEntry)
    assert (kept.transaction_id, kept.decision_id, kept.values) == ("t1", None, None)


def test_a_full_journal_refuses_new_work(redis_url: str, redis_client: Redis, tmp_path: Path) -> None:
    for _ in range(1000):
        redis_client.xadd(names.JOURNAL, {"d": "{}"})
    gateway = open_gateway(redis_url, tmp_path, journal_max_entries=1000)
    gateway._look_around(redis_client)

    with pytest.raises(Overloaded):
        gateway.score(transaction(), transaction_id="t1", wait_ms=50, explain=False)
    with pytest.raises(Overloaded):
        gateway.accept(transaction(), transaction_id="t1", explain=False)
    gateway.close()


def test_reload_without_a_model_says_so(gateway: Gateway) -> None:
    with pytest.raises(NotReady):
        gateway.reload(timeout_s=0.1)


def test_health_without_a_worker_is_not_ready_and_with_no_broker_says_which(
    gateway: Gateway,
) -> None:
    health = gateway.health()

    assert health.is_broker_up
    assert not health.is_ready


@pytest.fixture
def own_valkey() -> Iterator[RunningValkey]:
    with running_valkey() as server:
        yield server


def test_a_broker_that_dies_is_refused_at_once_and_used_again_when_it_is_back(
    own_valkey: RunningValkey, tmp_path: Path
) -> None:
    gateway = open_gateway(own_valkey.url, tmp_path)
    gateway.accept(transaction(), transaction_id="t1", explain=False)
    own_valkey.kill()

    with pytest.raises(BrokerUnavailable) as refused:
        gateway.score(transaction(), transaction_id="t2", wait_ms=5000, explain=False)
    assert refused.value.retry_after_s
    with pytest.raises(BrokerUnavailable):
        gateway.accept(transaction(), transaction_id="t2", explain=False)
    assert not gateway.health().is_broker_up

    own_valkey.start()
    outcome = None
    for _ in range(100):
        try:
            outcome = gateway.accept(transaction(), transaction_id="t3", explain=False)
            break
        except BrokerUnavailable:
            threading.Event().wait(0.1)
    assert outcome is not None
    assert outcome.status == "pending"
    assert gateway.find("t1").status == "pending", "what was accepted before the crash is still there"
    gateway.close()
