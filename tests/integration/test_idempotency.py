"""A client's transaction_id is remembered: whole in Redis first, then as a digest there, its decision in the ledger."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from redis import Redis

from config import names
from config.contracts import Decision, JournalEntry, JournalRecord, ScoreRow
from config.errors import LedgerUnavailable, TransactionConflict
from config.queue.results import result_lifetime_s, shrink_results
from config.schema.load import load_schema
from config.schema.validate import Transaction, compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger
from tests.integration.test_gateway import take_batch
from web.gateway import Gateway
from web.ledger_reader import LedgerReader
from web.ports.labels import Label
from workers import metrics
from workers.journal import JournalDrain
from workers.store import Finished, TransactionStore

SCHEMA = load_schema(DEFAULT_SCHEMA)
SPEC = FeatureSpec.from_schema(SCHEMA)
PAYMENT = {
    "amount": 9000.0,
    "hour": 3,
    "day_of_week": 1,
    "merchant_category": "online",
    "previous_amount": 50.0,
    "time_since_last": 0.5,
}


def transaction(**changes: object) -> Transaction:
    return compile_validator(SCHEMA).validate(PAYMENT | {"transaction_id": "t1"} | changes)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url, result_ttl_s=600, dedupe_ttl_s=86_400)


@pytest.fixture
def gateway(settings: Settings, ledger: Ledger) -> Iterator[Gateway]:
    gateway = Gateway(settings, SCHEMA, LedgerReader(ledger, SCHEMA))
    gateway.start()
    yield gateway
    gateway.close()


class OneWorker:
    """Plays a scoring worker: answers every batch on the queue with the scripts that workers use."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._client = client
        self._store = TransactionStore(client, settings)

    def work(self) -> None:
        """Take one batch and answer it; every new row is approved."""
        batch = take_batch(self._client)
        observed = self._store.observe(batch.rows, SPEC)
        finished = [
            finished_row(item.row) if item.status == "S" else Finished(item.row, item.status, item.decision)
            for item in observed
        ]
        self._store.commit(finished, reply_to=batch.reply_to, batch_id=batch.batch_id)


def finished_row(row: ScoreRow, decision_id: str = "d1") -> Finished:
    """A new decision about `row`, as a scorer makes it."""
    decision = Decision(
        decision_id, row.transaction_id, 0.1, False, 10, "low", "approve", [], "m1", "2026-01-01T00:00:00.000Z"
    )
    record = JournalRecord(1, row.digest, SCHEMA.digest, 1, 1.0, 5.0, row.values, {})
    return Finished(row, "N", msgspec.json.encode(decision), msgspec.json.encode(record), b"\0" * 8, has_seen=False)


def drain(client: Redis, ledger: Ledger, settings: Settings) -> int:
    return JournalDrain(client, ledger, SCHEMA, settings, consumer="test").run(5)


def decide_and_shrink(gateway: Gateway, client: Redis, ledger: Ledger, settings: Settings) -> bytes:
    """A decision that the ledger has and of which Redis keeps the digest alone; returns it as it was answered."""
    first = gateway.decide_by_rules(transaction(), transaction_id="t1", explain=False).decision_json
    assert first is not None
    drain(client, ledger, settings)
    assert shrink_results(client, ["t1"], [transaction().digest]) == 1
    return first


def test_a_shrunk_decision_is_answered_from_the_ledger_byte_for_byte_by_every_way_in(
    gateway: Gateway, redis_client: Redis, ledger: Ledger, settings: Settings
) -> None:
    first = decide_and_shrink(gateway, redis_client, ledger, settings)
    worker = threading.Thread(target=OneWorker(redis_client, settings).work)
    worker.start()

    scored = gateway.score(transaction(), transaction_id="t1", wait_ms=5000, explain=False)
    worker.join()
    accepted = gateway.accept(transaction(), transaction_id="t1", explain=False)
    ruled = gateway.decide_by_rules(transaction(), transaction_id="t1", explain=False)
    found = gateway.find("t1")

    assert [outcome.decision_json for outcome in (scored, accepted, ruled, found)] == [first] * 4
    assert scored.replayed
    assert accepted.replayed
    assert ruled.replayed
    assert redis_client.xlen(names.JOURNAL) == 0
    assert redis_client.get(names.result_key("t1")) == transaction().digest.encode()


def test_other_content_under_a_shrunk_id_is_a_conflict(
    gateway: Gateway, redis_client: Redis, ledger: Ledger, settings: Settings
) -> None:
    decide_and_shrink(gateway, redis_client, ledger, settings)
    other = transaction(amount=2.0)
    worker = threading.Thread(target=OneWorker(redis_client, settings).work)
    worker.start()

    with pytest.raises(TransactionConflict):
        gateway.score(other, transaction_id="t1", wait_ms=5000, explain=False)
    worker.join()
    with pytest.raises(TransactionConflict):
        gateway.accept(other, transaction_id="t1", explain=False)
    with pytest.raises(TransactionConflict):
        gateway.decide_by_rules(other, transaction_id="t1", explain=False)


class DownLookup(LedgerReader):
    """A ledger that does not answer."""

    def decision_json(self, transaction_id: str) -> bytes | None:
        raise LedgerUnavailable("the database does not answer", retry_after_s=1)


def test_while_the_ledger_is_down_a_shrunk_decision_is_a_503_and_nothing_is_decided_twice(
    gateway: Gateway, redis_client: Redis, ledger: Ledger, settings: Settings
) -> None:
    decide_and_shrink(gateway, redis_client, ledger, settings)
    gateway = Gateway(settings, SCHEMA, DownLookup(ledger, SCHEMA))

    for ask in (gateway.accept, gateway.decide_by_rules):
        with pytest.raises(LedgerUnavailable) as refused:
            ask(transaction(), transaction_id="t1", explain=False)
        assert (refused.value.status, refused.value.retry_after_s) == (503, 1)
    with pytest.raises(LedgerUnavailable):
        gateway.find("t1")
    assert redis_client.xlen(names.JOURNAL) == 0


def test_feedback_finds_a_shrunk_decision(
    gateway: Gateway, redis_client: Redis, ledger: Ledger, settings: Settings
) -> None:
    first = json.loads(decide_and_shrink(gateway, redis_client, ledger, settings))

    outcome = gateway.record_label(label("t1"))

    assert (outcome.matched, outcome.decision_id) == (True, first["decision_id"])


def label(transaction_id: str) -> Label:
    return Label("l1", True, "chargeback", datetime(2026, 1, 1, tzinfo=UTC), transaction_id=transaction_id)


@pytest.mark.parametrize(("client_id", "lifetime_s"), [("t1", 86_400), (None, 600)])
def test_a_clients_id_is_remembered_longer_than_one_that_was_made_up(
    gateway: Gateway, redis_client: Redis, settings: Settings, client_id: str | None, lifetime_s: int
) -> None:
    payment = transaction(transaction_id=client_id) if client_id else compile_validator(SCHEMA).validate(PAYMENT)
    worker = threading.Thread(target=OneWorker(redis_client, settings).work)
    worker.start()

    gateway.score(payment, transaction_id="t1", wait_ms=5000, explain=False)
    worker.join()
    gateway.decide_by_rules(payment, transaction_id="t2", explain=False)

    for transaction_id in ("t1", "t2"):
        assert lifetime_s - 10 <= redis_client.ttl(names.result_key(transaction_id)) <= lifetime_s


def test_a_decision_is_never_remembered_for_less_than_it_can_be_polled() -> None:
    settings = Settings(result_ttl_s=7200, dedupe_ttl_s=60)

    assert result_lifetime_s(settings, is_own_id=False) == 7200


def test_shrinking_keeps_the_remaining_lifetime_and_leaves_everything_else_alone(redis_client: Redis) -> None:
    digest, other = "a" * 16, "b" * 16
    redis_client.set(names.result_key("old"), digest + "{}", ex=500)
    redis_client.set(names.result_key("other-content"), other + "{}", ex=500)
    redis_client.set(names.result_key("stub"), digest, ex=500)

    assert shrink_results(redis_client, ["old", "other-content", "stub", "expired"], [digest] * 4) == 1
    assert shrink_results(redis_client, [], []) == 0

    assert redis_client.get(names.result_key("old")) == digest.encode()
    assert 490 <= redis_client.ttl(names.result_key("old")) <= 500
    assert redis_client.get(names.result_key("other-content")) == f"{other}{{}}".encode()
    assert redis_client.get(names.result_key("stub")) == digest.encode()
    assert not redis_client.exists(names.result_key("expired"))


def late_duplicates() -> float:
    return float(metrics.LATE_DUPLICATES._value.get())


def test_an_id_that_comes_back_after_it_was_forgotten_is_counted_and_the_ledger_keeps_its_first_decision(
    redis_client: Redis, ledger: Ledger, settings: Settings
) -> None:
    store = TransactionStore(redis_client, settings)
    row = ScoreRow("t1", "0" * 16, 0, 1, [None] * len(SCHEMA.fields))
    before = late_duplicates()
    for decision_id in ("first", "second"):
        store.commit([finished_row(row, decision_id)], reply_to="", batch_id=0)
        drain(redis_client, ledger, settings)
        redis_client.delete(names.result_key("t1"))

    kept = ledger.decision_by_transaction("t1")
    assert kept is not None
    assert kept.decision.decision_id == "first"
    assert late_duplicates() - before == 1


def test_a_redelivered_journal_entry_is_no_late_duplicate(ledger: Ledger) -> None:
    row = ScoreRow("t1", "0" * 16, 0, 1, [None] * len(SCHEMA.fields))
    done: Any = finished_row(row)
    entry = JournalEntry(
        msgspec.json.decode(done.decision, type=Decision), msgspec.json.decode(done.record, type=JournalRecord), b""
    )
    ledger.store([entry])

    assert ledger.count_overtaken([entry, entry]) == 0
