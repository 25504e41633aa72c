"""Workers' heartbeats: who is there is listed, who is gone leaves nothing behind."""

from __future__ import annotations

import time

from redis import Redis

from config import names
from config.contracts import WorkerReport
from config.queue.stats import worker_reports
from workers.heartbeat import Heartbeat


def beat(client: Redis, worker: str) -> None:
    report = WorkerReport(worker, "scoring", "m1", "d" * 64, "serving", None)
    Heartbeat(client, lambda: report, interval_s=1.0).beat()


def test_a_worker_that_reports_is_listed_for_five_intervals(redis_client: Redis) -> None:
    beat(redis_client, "scoring-1")

    assert [report.worker for report in worker_reports(redis_client, 1.0)] == ["scoring-1"]
    assert 0 < redis_client.pttl(names.worker_key("scoring-1")) <= 5000


def test_the_names_of_workers_that_are_gone_are_forgotten(redis_client: Redis) -> None:
    redis_client.zadd(names.WORKERS, {f"gone-{number}": time.time() - 7200 for number in range(50)})

    beat(redis_client, "scoring-1")

    assert redis_client.zrange(names.WORKERS, 0, -1) == [b"scoring-1"]
