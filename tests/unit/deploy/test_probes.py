"""What the probes of a container answer: about its worker, about beat, and while the broker is away."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest
from fakeredis import FakeRedis, FakeServer

from config import names
from config.contracts import WorkerReport, WorkInHand
from config.settings import Settings
from deploy.docker import beat_health, worker_health

HOST = "pod-7"
NOW = 1_800_000_000.0
LOCK = "tollgate:beat::lock"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The broker that the probes ask; `connected = False` takes it away."""
    server = FakeServer()
    for module in (worker_health, beat_health):
        monkeypatch.setattr(module, "make_redis", lambda *_args, **_options: FakeRedis(server=server))
    return server


@pytest.fixture
def reports(server: FakeServer) -> Callable[..., None]:
    """Writes a heartbeat as a worker would."""

    def write(
        status: str = "serving", *, role: str = "scoring", host: str = HOST, work: WorkInHand | None = None
    ) -> None:
        report = WorkerReport(f"{role}@{host}", role, None, None, status, None, work=work)
        client = FakeRedis(server=server)
        client.set(names.worker_key(report.worker), msgspec.json.encode(report))
        client.zadd(names.WORKERS, {report.worker: time.time()})

    return write


@pytest.mark.parametrize(("status", "healthy"), [("serving", True), ("ready", True), ("waiting for a model", False)])
def test_a_worker_is_healthy_when_it_has_what_it_needs_and_alive_before(
    reports: Callable[..., None], status: str, healthy: bool
) -> None:
    reports(status)

    assert worker_health.is_healthy(HOST) is healthy
    assert worker_health.is_alive(HOST, now=NOW)


def test_a_worker_that_is_not_heard_is_neither_healthy_nor_alive(reports: Callable[..., None]) -> None:
    reports(host="pod-8")

    assert not worker_health.is_healthy(HOST)
    assert not worker_health.is_alive(HOST, now=NOW)


@pytest.mark.parametrize(("role", "patience"), [("scoring", 1), ("bulk", 10)])
def test_a_worker_stuck_in_a_batch_is_not_alive_bulk_workers_later(
    reports: Callable[..., None], role: str, patience: int
) -> None:
    limit_s = Settings().watchdog_s * patience
    reports(role=role, work=WorkInHand("batch", NOW))

    assert worker_health.is_alive(HOST, now=NOW + limit_s - 1)
    assert not worker_health.is_alive(HOST, now=NOW + limit_s + 1)


def test_a_background_worker_is_not_alive_when_a_task_takes_longer_than_it_declares(
    reports: Callable[..., None],
) -> None:
    reports("ready", role="background", work=WorkInHand("tollgate.keep_house", NOW, limit_s=90.0))

    assert worker_health.is_alive(HOST, now=NOW + 89)
    assert not worker_health.is_alive(HOST, now=NOW + 91)


def test_while_the_broker_is_away_nobody_is_healthy_and_nobody_is_restarted(server: FakeServer) -> None:
    server.connected = False

    assert not worker_health.is_healthy(HOST)
    assert worker_health.is_alive(HOST, now=NOW)
    assert not beat_health.is_ticking(when_unknown=False)
    assert beat_health.is_ticking(when_unknown=True)


def test_beat_ticks_while_it_holds_its_lock(server: FakeServer) -> None:
    assert not beat_health.is_ticking(when_unknown=True)

    FakeRedis(server=server).set(LOCK, "token")

    assert beat_health.is_ticking(when_unknown=False)
    assert beat_health.main([]) == 0
    assert beat_health.main(["--alive"]) == 0


def test_the_exit_codes_are_those_of_a_probe(reports: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_health.socket, "gethostname", lambda: HOST)
    assert worker_health.main([]) == 1

    reports("waiting for a model")

    assert worker_health.main([]) == 1
    assert worker_health.main(["--alive"]) == 0
