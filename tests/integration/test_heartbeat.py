"""Workers' heartbeats: who is there is listed, who is gone leaves nothing behind."""

from __future__ import annotations

import time

import msgspec
import pytest
from celery import Celery
from redis import Redis

from config import names
from config.contracts import ChampionPointer, WorkerReport
from config.queue.stats import expected_workers, worker_beats, worker_reports
from web.reload import ReloadRequest
from workers.heartbeat import Heartbeat


def report_of(worker: str) -> WorkerReport:
    return WorkerReport(worker, "scoring", "m1", "d" * 64, "serving", None)


def beat(client: Redis, worker: str) -> None:
    Heartbeat(client, lambda: report_of(worker), interval_s=1.0).beat()


def silent_since(client: Redis, worker: str, age_s: float) -> None:
    client.zadd(names.WORKERS, {worker: time.time() - age_s})


def test_a_worker_that_reports_is_listed_for_five_intervals(redis_client: Redis) -> None:
    beat(redis_client, "scoring-1")

    assert [report.worker for report in worker_reports(redis_client, 1.0)] == ["scoring-1"]
    silent_since(redis_client, "scoring-1", 6)
    assert worker_reports(redis_client, 1.0) == []


def test_a_worker_that_fell_silent_is_expected_for_a_minute_and_one_that_signed_off_is_not(
    redis_client: Redis,
) -> None:
    for name in ("scoring-1", "scoring-2", "scoring-3"):
        beat(redis_client, name)
    silent_since(redis_client, "scoring-1", 30)
    silent_since(redis_client, "scoring-2", 61)
    leaving = Heartbeat(redis_client, lambda: report_of("scoring-3"), interval_s=1.0)
    leaving.start()
    leaving.sign_off("scoring-3")

    assert [report.worker for report in expected_workers(redis_client)] == ["scoring-1"]
    assert [silent.report for silent in worker_beats(redis_client, 1.0)] == [None, None]


def test_a_silent_worker_is_listed_as_timeout_with_what_it_served_last(redis_client: Redis) -> None:
    pointer = ChampionPointer("m1", "d" * 64, "m1", 4, "2026-01-01T00:00:00+00:00")
    redis_client.set(names.CHAMPION, msgspec.json.encode(pointer))
    beat(redis_client, "scoring-1")
    silent_since(redis_client, "scoring-1", 30)
    app = Celery(broker="memory://")

    report = ReloadRequest(redis_client, app).run(0.1)
    unasked = ReloadRequest(redis_client, app).run(0.0)

    assert (report.agreed, unasked.agreed) == (False, False)
    assert [(one.worker, one.status, one.model_version, one.digest) for one in report.workers] == [
        ("scoring-1", "timeout", "m1", "d" * 64)
    ]
    assert [one.status for one in unasked.workers] == ["asked"]


def test_the_names_of_workers_that_are_gone_are_forgotten(redis_client: Redis) -> None:
    redis_client.zadd(names.WORKERS, {f"gone-{number}": time.time() - 7200 for number in range(50)})

    beat(redis_client, "scoring-1")

    assert redis_client.zrange(names.WORKERS, 0, -1) == [b"scoring-1"]


@pytest.mark.parametrize("behind_s", [10.0, -10.0])
def test_a_worker_with_a_wrong_clock_is_there_for_as_long_as_any_other(
    redis_client: Redis, monkeypatch: pytest.MonkeyPatch, behind_s: float
) -> None:
    right = time.time
    with monkeypatch.context() as wrong:
        wrong.setattr(time, "time", lambda: right() - behind_s)
        beat(redis_client, "scoring-1")

    [reported] = worker_beats(redis_client, 1.0)

    assert reported.report is not None
    assert reported.age_s < 1.0
    assert abs(reported.report.clock_skew_ms - 1000 * behind_s) < 500
