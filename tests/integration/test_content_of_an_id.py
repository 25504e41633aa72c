"""One id, one content, from the first look at it to the last replay: on a real Valkey, by every way in."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from redis import Redis

from config import names
from config.contracts import ScoreRow
from config.errors import LedgerUnavailable, TransactionConflict
from config.queue.dead_letters import DeadLetters
from config.queue.inbox import Inbox
from config.schema.validate import Transaction
from config.settings import Settings
from ml.ledger import Ledger
from tests.inbox_work import app, dead
from tests.integration.test_idempotency import SCHEMA, SPEC, drain, finished_row, transaction
from web.gateway import Gateway
from web.ledger_reader import LedgerReader
from workers import scoring
from workers.store import Finished, Observed, TransactionStore

HEADER_BYTES = 24
FIRST = transaction(account_id="a1", amount=10.0)
OTHER = transaction(account_id="a1", amount=20.0)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url, seen_ttl_s=60, result_ttl_s=600)


@pytest.fixture
def gateway(settings: Settings, ledger: Ledger) -> Iterator[Gateway]:
    gateway = Gateway(settings, SCHEMA, LedgerReader(ledger, SCHEMA))
    gateway.start()
    yield gateway
    gateway.close()


@pytest.fixture
def store(redis_client: Redis, settings: Settings) -> Iterator[TransactionStore]:
    store = TransactionStore(redis_client, settings)
    yield store
    store.close()


def observe(store: TransactionStore, payment: Transaction) -> Observed:
    """As a scoring worker does for a synchronous request or for accepted work."""
    [observed] = store.observe([ScoreRow("t1", payment.digest, 0, 1_700_000_000_000, payment.values)], SPEC)
    return observed


def accept(gateway: Gateway, payment: Transaction) -> str:
    return gateway.accept(payment, transaction_id="t1", explain=False).status


def events_of_the_account(client: Redis) -> int:
    [account] = [entity for entity in SPEC.entities if entity.name == "account"]
    length = client.strlen(names.history_key("account", account.record, "a1"))
    return (int(length) - HEADER_BYTES) // (8 * (1 + len(account.record)))  # type: ignore[arg-type]


def let_what_ends_expire(client: Redis) -> None:
    """As if more time had passed than anything undecided is kept for."""
    for key in client.scan_iter(names.seen_key("*")):
        if client.ttl(key) >= 0:  # type: ignore[operator]
            client.delete(key)


def give_up(client: Redis, settings: Settings) -> None:
    inbox = Inbox(client, settings)
    for _ in range(settings.inbox_attempts):
        claim = inbox.claim("t1")
        assert claim is not None
        inbox.fail(claim, "the model raised")


def test_other_content_than_what_was_seen_and_not_decided_is_not_accepted(
    gateway: Gateway, store: TransactionStore, redis_client: Redis
) -> None:
    observe(store, FIRST)

    with pytest.raises(TransactionConflict):
        accept(gateway, OTHER)
    with pytest.raises(TransactionConflict):
        gateway.decide_by_rules(OTHER, transaction_id="t1", explain=False)

    assert not redis_client.exists(names.inbox_key("t1"), names.result_key("t1"))
    assert accept(gateway, FIRST) == "pending"


def test_other_content_than_what_waits_in_the_inbox_is_not_decided(
    gateway: Gateway, store: TransactionStore, redis_client: Redis
) -> None:
    accept(gateway, OTHER)

    assert observe(store, FIRST).status == "C"
    with pytest.raises(TransactionConflict):
        gateway.decide_by_rules(FIRST, transaction_id="t1", explain=False)

    assert redis_client.exists(names.inbox_key("t1"))
    assert not redis_client.exists(names.result_key("t1"), names.seen_key("t1"))
    assert observe(store, OTHER).status == "S"
    assert gateway.decide_by_rules(OTHER, transaction_id="t1", explain=False).status == "decided"
    assert not redis_client.exists(names.inbox_key("t1"), names.seen_key("t1"))


def test_accepted_content_whose_id_was_decided_with_other_content_is_a_dead_letter(
    gateway: Gateway, store: TransactionStore, redis_client: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(gateway, OTHER)
    batch_row = ScoreRow("t1", FIRST.digest, 0, 1, FIRST.values)
    store.commit([finished_row(batch_row)], reply_to="", batch_id=0)

    def finish_rows(rows: list[ScoreRow], **_: Any) -> list[Finished]:
        finished = [
            Finished(item.row, item.status, item.decision, is_from_inbox=True) for item in store.observe(rows, SPEC)
        ]
        store.commit(finished, reply_to="", batch_id=0)
        return finished

    inbox = Inbox(redis_client, settings)
    monkeypatch.setattr(scoring, "scoring_runtime", lambda: SimpleNamespace(inbox=inbox))
    monkeypatch.setattr(scoring, "finish_rows", finish_rows)
    scoring.score_accepted("t1")

    assert dead(redis_client) == [b"t1"]
    assert redis_client.hget(names.inbox_key("t1"), "failure") == scoring.OTHER_CONTENT.encode()
    assert redis_client.zcard(names.INBOX_DUE) == 0


@pytest.mark.parametrize("is_seen_first", [True, False])
def test_a_dead_letter_replayed_long_after_is_counted_in_history_once(
    gateway: Gateway, store: TransactionStore, redis_client: Redis, settings: Settings, is_seen_first: bool
) -> None:
    if is_seen_first:
        observe(store, FIRST)
        accept(gateway, FIRST)
    else:
        accept(gateway, FIRST)
        observe(store, FIRST)
    let_what_ends_expire(redis_client)
    give_up(redis_client, settings)
    let_what_ends_expire(redis_client)

    assert DeadLetters(redis_client, app(), settings).replay("t1")
    again = observe(store, FIRST)

    assert again.status == "S"
    assert [events for events, _ in again.logs] == [b"", b""], "it does not see itself"
    assert events_of_the_account(redis_client) == 1


def test_what_nobody_accepted_is_forgotten_undecided(store: TransactionStore, redis_client: Redis) -> None:
    observe(store, FIRST)
    observe(store, FIRST)

    assert 0 < redis_client.ttl(names.seen_key("t1")) <= 60  # type: ignore[operator]


def test_what_was_accepted_after_it_was_seen_in_a_batch_is_remembered_from_its_next_attempt(
    gateway: Gateway, store: TransactionStore, redis_client: Redis
) -> None:
    accept(gateway, FIRST)
    redis_client.set(names.seen_key("t1"), f"{FIRST.digest} 1 0 0 0 0", ex=60)

    assert observe(store, FIRST).status == "S"

    assert redis_client.ttl(names.seen_key("t1")) == -1


def test_a_first_decision_by_rules_is_answered_by_its_commit_alone(
    gateway: Gateway, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise redis.ConnectionError("lost after the commit")

    monkeypatch.setattr(gateway._client, "get", lost)

    decided = gateway.decide_by_rules(FIRST, transaction_id="t1", explain=False)

    assert (decided.status, decided.replayed) == ("decided", False)
    assert redis_client.xlen(names.JOURNAL) == 1


def age_the_journal(client: Redis, seconds: int) -> None:
    """Put its entries back by that much, and let the results that lived less expire."""
    entries: Any = client.xrange(names.JOURNAL)
    client.delete(names.JOURNAL, names.result_key("t1"))
    for entry_id, fields in entries:
        at_ms, number = entry_id.split(b"-")
        client.xadd(names.JOURNAL, fields, id=f"{int(at_ms) - 1000 * seconds}-{number.decode()}")


def test_a_decision_that_redis_forgot_before_the_ledger_had_it_is_a_503_and_never_unknown(
    gateway: Gateway, redis_client: Redis, ledger: Ledger, settings: Settings
) -> None:
    decided = gateway.decide_by_rules(FIRST, transaction_id="t1", explain=False)
    assert gateway.find("nobody's").status == "unknown", "what is young in the journal is in Redis too"
    age_the_journal(redis_client, settings.result_ttl_s)

    with pytest.raises(LedgerUnavailable) as refused:
        gateway.find("t1")
    assert (refused.value.status, refused.value.retry_after_s) == (503, 5)

    drain(redis_client, ledger, settings)
    assert gateway.find("t1").decision_json == decided.decision_json
    assert gateway.find("nobody's").status == "unknown"
