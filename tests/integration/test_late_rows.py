"""A running scoring worker: rows that nobody waits for any more are not scored, their neighbours are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from redis import Redis

from config import names
from config.celery_app import make_celery
from config.contracts import ChampionPointer, ScoreBatch, ScoreRow
from config.queue.messages import TaskMessage
from config.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
STOP_LIMIT_S = 30


@pytest.fixture
def worker(redis_client: Redis, redis_url: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker with the tiny bundle as its champion; its output is in `worker.log`."""
    redis_client.set(names.CHAMPION, msgspec.json.encode(ChampionPointer("tiny-1", "d" * 64, "tiny-1", 1, "")))
    command = (sys.executable, "-m", "celery", "-A", "tests.integration.tiny_worker", "worker", "--pool", "solo")
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            (*command, "--queues", names.QUEUE_SCORE, "--without-gossip", "--without-mingle"),
            cwd=REPOSITORY,
            env={**os.environ, "TOLLGATE_REDIS_URL": redis_url, "TOLLGATE_DATA_DIR": str(tmp_path)},
            stdout=log,
            stderr=log,
        )
        yield process
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_LIMIT_S)


def row(number: int, deadline_ms: int) -> ScoreRow:
    return ScoreRow(f"t{number}", f"{number:016x}", deadline_ms, 1_700_000_000_000, [100.0, None])


def test_a_running_worker_drops_the_late_row_and_scores_its_neighbours(
    worker: subprocess.Popen[bytes], redis_client: Redis, redis_url: str
) -> None:
    rows = [row(1, 0), row(2, 1), row(3, 4_000_000_000_000)]
    message = TaskMessage(
        make_celery(Settings(redis_url=redis_url), "web"), names.TASK_SCORE_BATCH, names.QUEUE_SCORE
    ).render(msgspec.json.encode(ScoreBatch("replies", 7, "s", rows)).decode())
    redis_client.lpush(names.QUEUE_SCORE, message)

    with Redis.from_url(redis_url, socket_timeout=90) as patient:
        popped = patient.blpop(["replies"], timeout=60)
    assert popped is not None, "the worker answered nothing within a minute"
    batch_id, answers = json.loads(popped[1])

    assert batch_id == 7
    assert [status for status, _ in answers] == ["N", "X", "N"]
    assert answers[1][1] is None
    assert not redis_client.exists(names.result_key("t2"), names.seen_key("t2"))
    assert redis_client.exists(names.result_key("t1"), names.result_key("t3")) == 2
    assert redis_client.xlen(names.JOURNAL) == 2
