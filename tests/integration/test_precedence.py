"""Batches give way while somebody waits for single answers: who sets the mark, and who heeds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from config import names
from config.queue.precedence import MARKED_FOR_MS
from config.settings import Settings
from tests.bulk_bench import Bench, payments
from tests.integration.test_gateway import open_gateway, transaction
from web.gateway import Gateway
from workers import metrics
from workers.bulk.rest import LONGEST_REST_S, rest


@pytest.fixture
def gateway(redis_url: str, tmp_path: Path) -> Iterator[Gateway]:
    gateway = open_gateway(redis_url, tmp_path)
    yield gateway
    gateway.close()


def rested_s() -> float:
    return float(metrics.BULK_RESTED._value.get())


def test_who_waits_for_an_answer_is_marked_and_who_polls_is_not(gateway: Gateway, redis_client: Redis) -> None:
    gateway.accept(transaction(), transaction_id="t1", explain=False)
    gateway.health()
    assert not redis_client.exists(names.ANSWERS_AWAITED)

    gateway.score(transaction(), transaction_id="t2", wait_ms=20, explain=False)

    assert 0 < redis_client.pttl(names.ANSWERS_AWAITED) <= MARKED_FOR_MS
    redis_client.delete(names.ANSWERS_AWAITED)
    gateway.score(transaction(), transaction_id="t3", wait_ms=20, explain=False)
    assert not redis_client.exists(names.ANSWERS_AWAITED), "marked twice within a second"


def test_a_batch_rests_beside_single_payments_and_only_then(bench: Bench) -> None:
    before = rested_s()
    bench.accept(payments(8))
    bench.settle()
    assert rested_s() == before

    bench.client.set(names.ANSWERS_AWAITED, 1)
    bench.accept(payments(8), "b2")
    bench.settle()

    assert rested_s() > before
    assert bench.batch("b2").status == "completed"


def test_bulk_workers_that_are_told_so_never_rest(redis_url: str, redis_client: Redis, tmp_path: Path) -> None:
    before = rested_s()
    redis_client.set(names.ANSWERS_AWAITED, 1)
    bench = Bench(redis_url, redis_client, tmp_path, bulk_rest=0)
    bench.accept(payments(8))
    bench.settle()
    bench.close()

    assert (rested_s(), bench.batch().status) == (before, "completed")


@pytest.mark.parametrize(("worked_s", "expected"), [(0.02, 0.16), (9.0, LONGEST_REST_S)])
def test_a_rest_is_as_long_as_the_work_says_and_never_long(worked_s: float, expected: float) -> None:
    rests: list[float] = []
    rest(worked_s=worked_s, times=Settings().bulk_rest, sleep=rests.append)
    assert rests == [pytest.approx(expected)]
