"""Batches and kept answers on a real broker: accepted together or not at all, limited, cancelled, raced for."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from config import names
from config.errors import BatchEnded, BrokerUnavailable, RequestInProgress, TooManyBatches, UnknownId
from config.queue.batches import BatchRecord, batch_entry, read_batch
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from ml.ledger import Ledger
from tests.servers import RunningValkey, running_valkey
from web.gateway import Gateway
from web.idempotency_store import MARK_S
from web.identifiers import new_id
from web.ledger_reader import LedgerReader
from web.ports.idempotency import Claim, KeptAnswer

SCHEMA = load_schema(DEFAULT_SCHEMA)
ANSWER = KeptAnswer("f" * 64, 202, [("Location", "/batches/b")], b'{"id":"b"}')


def open_gateway(redis_url: str, tmp_path: Path, **changes: Any) -> Gateway:
    settings = Settings(redis_url=redis_url, broker_timeout_s=2, breaker_reset_s=0.2, **changes)
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    return Gateway(settings, SCHEMA, LedgerReader(ledger, SCHEMA))


@pytest.fixture
def gateway(redis_url: str, tmp_path: Path) -> Iterator[Gateway]:
    gateway = open_gateway(redis_url, tmp_path, bulk_batches_per_client=3)
    yield gateway
    gateway.close()


def record(client: str = "c", **changed: Any) -> BatchRecord:
    known: dict[str, Any] = {
        "batch_id": new_id(),
        "client": client,
        "status": "validating",
        "format": "ndjson",
        "is_gzip": True,
        "upload_bytes": 10,
        "created_ms": 1_700_000_000_000,
    }
    return BatchRecord(**(known | changed))


def queued(client: Redis) -> list[tuple[str, str]]:
    """Task and argument of every message on the bulk queue, oldest first."""
    found = []
    for raw in reversed(client.lrange(names.QUEUE_BULK, 0, -1)):
        message = json.loads(raw)
        found.append((message["headers"]["task"], json.loads(base64.b64decode(message["body"]))[0][0]))
    return found


def claimed(gateway: Gateway, key: str = "k") -> Claim:
    claim = gateway.idempotency.claim("batches", "c", key)
    assert isinstance(claim, Claim)
    return claim


def test_a_batch_is_accepted_with_everything_a_worker_and_the_reaper_need(
    gateway: Gateway, redis_client: Redis
) -> None:
    batch = record()

    gateway.batches.submit(batch)

    assert gateway.batches.find(batch.batch_id) == batch == read_batch(redis_client, batch.batch_id)
    assert redis_client.smembers(names.open_batches_key("c")) == {batch.batch_id.encode()}
    assert redis_client.zscore(names.BATCHES, batch.batch_id) == batch.created_ms
    entry = redis_client.hgetall(names.inbox_key(batch_entry(batch.batch_id)))
    assert (entry[b"payload"], entry[b"task"]) == (batch.batch_id.encode(), names.TASK_OPEN_BATCH.encode())
    assert redis_client.zscore(names.INBOX_DUE, batch_entry(batch.batch_id)) is not None
    assert queued(redis_client) == [(names.TASK_OPEN_BATCH, batch_entry(batch.batch_id))]


def test_the_limit_holds_against_submissions_at_once(gateway: Gateway, redis_client: Redis) -> None:
    start = threading.Barrier(8)

    def submit(_: int) -> bool:
        start.wait()
        try:
            gateway.batches.submit(record())
        except TooManyBatches:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        accepted = sum(pool.map(submit, range(8)))

    assert accepted == 3
    assert redis_client.scard(names.open_batches_key("c")) == 3
    assert len(queued(redis_client)) == 3
    with pytest.raises(TooManyBatches):
        gateway.batches.check_room("c")
    gateway.batches.check_room("another client")


def test_the_newest_come_first_and_a_page_follows_the_one_before(gateway: Gateway) -> None:
    ids = []
    for number in range(3):
        batch = record(created_ms=1000 + number)
        gateway.batches.submit(batch)
        ids.append(batch.batch_id)

    first = [found.batch_id for found in gateway.batches.newest(limit=2, before=None)]
    rest = [found.batch_id for found in gateway.batches.newest(limit=2, before=first[-1])]

    assert first + rest == ids[::-1]
    assert gateway.batches.newest(limit=2, before="nobody") == []
    assert gateway.batches.find("nobody") is None


@pytest.mark.parametrize(
    ("state", "becomes"),
    [
        ({"status": "validating"}, "cancelling"),
        ({"status": "in_progress", "chunks": 9, "next_chunk": 4, "done_chunks": 3}, "cancelling"),
        ({"status": "in_progress", "chunks": 9, "next_chunk": 4, "done_chunks": 4}, "cancelled"),
        ({"status": "cancelling"}, "cancelling"),
    ],
)
def test_cancelling_waits_for_chunks_that_are_out(
    gateway: Gateway, redis_client: Redis, state: dict[str, Any], becomes: str
) -> None:
    batch = record()
    gateway.batches.submit(batch)
    redis_client.hset(names.batch_key(batch.batch_id), mapping=state)

    cancelled = gateway.batches.cancel(batch.batch_id)

    assert cancelled.status == becomes
    has_ended = becomes == "cancelled"
    assert (cancelled.ended_ms > 0, cancelled.expires_ms > cancelled.ended_ms) == (has_ended, has_ended)
    assert redis_client.scard(names.open_batches_key("c")) == (0 if has_ended else 1)
    assert redis_client.exists(names.inbox_key(batch_entry(batch.batch_id))) == (0 if has_ended else 1)
    assert redis_client.zcard(names.INBOX_DUE) == (0 if has_ended else 1)


@pytest.mark.parametrize("status", ["finalizing", "completed", "failed", "cancelled", "expired"])
def test_what_has_ended_cannot_be_cancelled(gateway: Gateway, redis_client: Redis, status: str) -> None:
    batch = record()
    gateway.batches.submit(batch)
    redis_client.hset(names.batch_key(batch.batch_id), "status", status)

    with pytest.raises(BatchEnded):
        gateway.batches.cancel(batch.batch_id)

    assert redis_client.hget(names.batch_key(batch.batch_id), "status") == status.encode()
    with pytest.raises(UnknownId):
        gateway.batches.cancel("nobody")


def test_a_batch_and_the_answer_to_its_key_are_kept_together(gateway: Gateway, redis_client: Redis) -> None:
    claim = claimed(gateway)

    gateway.batches.submit(record(), (claim, ANSWER))
    gateway.idempotency.release(claim)

    assert gateway.idempotency.claim("batches", "c", "k") == ANSWER
    assert redis_client.ttl(claim.key) > 86_000
    assert isinstance(gateway.idempotency.claim("feedback", "c", "k"), Claim)
    assert isinstance(gateway.idempotency.claim("batches", "d", "k"), Claim)


def test_a_batch_whose_key_was_lost_is_not_accepted(gateway: Gateway, redis_client: Redis) -> None:
    lost = claimed(gateway)
    redis_client.delete(lost.key)
    owner = claimed(gateway)

    with pytest.raises(RequestInProgress):
        gateway.batches.submit(record(), (lost, ANSWER))

    assert queued(redis_client) == []
    assert redis_client.get(owner.key) == owner.mark


def test_of_many_requests_with_one_key_one_holds_it(gateway: Gateway) -> None:
    start = threading.Barrier(16)

    def claim(_: int) -> bool:
        start.wait()
        try:
            return isinstance(gateway.idempotency.claim("feedback", "c", "k"), Claim)
        except RequestInProgress:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(claim, range(16))) == 1


def test_a_mark_frees_itself_unless_it_is_refreshed(gateway: Gateway, redis_client: Redis) -> None:
    claim = claimed(gateway)
    assert 0 < redis_client.ttl(claim.key) <= MARK_S
    redis_client.expire(claim.key, 5)

    gateway.idempotency.refresh(claim)

    assert redis_client.ttl(claim.key) > 5
    redis_client.delete(claim.key)
    gateway.idempotency.refresh(claim)
    assert redis_client.get(claim.key) == claim.mark, "nobody took it meanwhile: it is held again"


def test_who_lost_a_key_changes_nothing_about_it(gateway: Gateway, redis_client: Redis) -> None:
    lost = claimed(gateway)
    redis_client.delete(lost.key)
    owner = claimed(gateway)

    gateway.idempotency.keep(lost, ANSWER)
    gateway.idempotency.release(lost)
    with pytest.raises(RequestInProgress):
        gateway.idempotency.refresh(lost)

    assert redis_client.get(owner.key) == owner.mark
    gateway.idempotency.release(owner)
    assert redis_client.get(owner.key) is None


def test_answers_survive_bytes_and_headers(gateway: Gateway) -> None:
    answer = KeptAnswer("0" * 64, 422, [("A", "b"), ("C", "d")], b'\x00\xff{"x":"\xc3\xbc"}')

    gateway.idempotency.keep(claimed(gateway), answer)

    assert gateway.idempotency.claim("batches", "c", "k") == answer


def test_without_a_broker_nothing_is_accepted_and_nobody_waits(tmp_path: Path) -> None:
    with running_valkey() as server:
        _assert_refused_at_once(server, tmp_path)


def _assert_refused_at_once(server: RunningValkey, tmp_path: Path) -> None:
    gateway = open_gateway(server.url, tmp_path)
    gateway.batches.check_room("c")
    server.kill()

    for call in (
        lambda: gateway.batches.check_room("c"),
        lambda: gateway.batches.submit(record()),
        lambda: gateway.batches.find("b"),
        lambda: gateway.batches.cancel("b"),
        lambda: gateway.idempotency.claim("batches", "c", "k"),
    ):
        with pytest.raises(BrokerUnavailable):
            call()
    gateway.close()
