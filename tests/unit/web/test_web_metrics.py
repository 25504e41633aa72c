"""GET /prometheus: what is exported, from the first scrape, and over several processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from config import names
from config.errors import BrokerUnavailable
from web.counted_files import CountedFiles
from web.memory_gateway import MemoryGateway
from web.metrics import WebMetrics, own_directory
from web.worker_files import WorkerFiles


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """One whose counters are at 0."""
    return make_app()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """(name, labels) -> value of every sample."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: dict[Any, float], name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def test_the_last_drift_check_is_exported(client: FlaskClient, gateway: MemoryGateway) -> None:
    assert value(samples(client.get("/prometheus").text), "tollgate_drift_checked_at_seconds") == 0
    gateway.drift = {"checked_at_s": 1.5e9, "score_psi": 0.25, "columns_drifting": 2, "psi:amount": 0.4}

    found = samples(client.get("/prometheus").text)

    assert value(found, "tollgate_drift_checked_at_seconds") == 1.5e9
    assert value(found, "tollgate_drift_score_psi") == 0.25
    assert value(found, "tollgate_drift_features_drifting") == 2
    assert value(found, "tollgate_drift_feature_psi", feature="amount") == 0.4
    assert client.get("/metrics", headers={"Accept": "application/json"}).json["drift"]["score_psi"] == 0.25


def test_every_series_is_there_before_anything_happened(client: FlaskClient) -> None:
    found = samples(client.get("/prometheus").text)

    assert value(found, "tollgate_requests_total", endpoint="/predict", status="503") == 0
    assert value(found, "tollgate_request_latency_seconds_count", endpoint="/predict") == 0
    assert value(found, "tollgate_batch_rows_count") == 0
    assert value(found, "tollgate_stage_latency_seconds_count", stage="coalescer_wait") == 0
    assert value(found, "tollgate_late_total", outcome="poll") == 0
    assert value(found, "tollgate_refused_total", reason="overloaded") == 0
    for gauge in (
        "journal_entries",
        "inbox_entries",
        "dead_letters",
        "coalescer_waiting",
        "batches_in_flight",
    ):
        assert value(found, f"tollgate_{gauge}") == 0
    for queue in names.QUEUES:
        assert value(found, "tollgate_queue_depth", queue=queue) == 0
        assert value(found, "tollgate_queue_oldest_age_seconds", queue=queue) == 0


def test_requests_are_counted_by_route_and_status(client: FlaskClient, predict: Callable[..., Any]) -> None:
    predict()
    predict(amount="x")
    client.get("/predictions/nobody")
    client.get("/no/such/route")

    found = samples(client.get("/prometheus").text)

    assert value(found, "tollgate_requests_total", endpoint="/predict", status="200") == 1
    assert value(found, "tollgate_requests_total", endpoint="/predict", status="422") == 1
    polled = {"endpoint": "/predictions/{transaction_id}", "status": "404"}
    assert value(found, "tollgate_requests_total", **polled) == 1
    assert value(found, "tollgate_requests_total", endpoint="unmatched", status="404") == 1
    assert value(found, "tollgate_request_latency_seconds_count", endpoint="/predict") == 2


def test_late_and_refused_payments_are_counted(
    client: FlaskClient, predict: Callable[..., Any], gateway: MemoryGateway
) -> None:
    gateway.is_stalled = True
    predict()
    gateway.failure = BrokerUnavailable()
    predict()
    gateway.failure = None

    found = samples(client.get("/prometheus").text)

    assert value(found, "tollgate_late_total", outcome="poll") == 1
    assert value(found, "tollgate_refused_total", reason="broker_unavailable") == 1


def test_the_shared_state_is_told_from_a_broker_that_is_down(
    client: FlaskClient, predict: Callable[..., Any], gateway: MemoryGateway
) -> None:
    predict(headers={"Prefer": "respond-async"})
    up = samples(client.get("/prometheus").text)
    gateway.failure = BrokerUnavailable()
    down = samples(client.get("/prometheus").text)

    assert value(up, "tollgate_inbox_entries") == 1
    assert value(up, "tollgate_broker_up") == 1
    assert value(up, "tollgate_workers", role="scoring", model_version="m1") == 2
    assert value(up, "tollgate_champion_info", model_version="m1") == 1
    assert value(down, "tollgate_broker_up") == 0
    assert value(down, "tollgate_workers", role="scoring", model_version="none") == 0


def test_openmetrics_is_given_to_who_asks(client: FlaskClient) -> None:
    response = client.get("/prometheus", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert response.mimetype == "application/openmetrics-text"
    assert response.text.endswith("# EOF\n")


def test_batches_and_stages_are_observed() -> None:
    metrics = WebMetrics()
    metrics.observe_answered_batch(32, 0.001, 0.004, 0.0005)

    text, _ = metrics.exposition("")
    found = samples(text.decode())

    assert value(found, "tollgate_batch_rows_sum") == 32
    assert value(found, "tollgate_stage_latency_seconds_sum", stage="coalescer_wait") == pytest.approx(0.001)
    assert value(found, "tollgate_stage_latency_seconds_sum", stage="round_trip") == pytest.approx(0.004)


def test_processes_of_one_server_add_up(tmp_path: Path) -> None:
    count_one = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from web.metrics import WebMetrics
        metrics = WebMetrics(Path(sys.argv[1]))
        metrics.declare_endpoints(["/predict"])
        metrics.observe_request("/predict", 200, 0.01)
        print(metrics.exposition("")[0].decode())
        """
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", count_one, str(tmp_path)], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]

    found = samples(outputs[1])
    assert value(found, "tollgate_requests_total", endpoint="/predict", status="200") == 2
    assert value(found, "tollgate_requests_total", endpoint="/predict", status="503") == 0


def test_counters_of_servers_that_are_gone_are_removed(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    for name in (gone.stdout.decode().strip(), str(os.getpid()), "notes"):
        (tmp_path / name).mkdir()

    mine = own_directory(tmp_path)

    assert mine == tmp_path / str(os.getppid())
    assert {path.name for path in tmp_path.iterdir()} == {str(os.getpid()), "notes"}


def test_what_workers_counted_in_their_files_is_in_the_scrape(tmp_path: Path) -> None:
    directory = tmp_path / "workers"
    directory.mkdir()
    count_three = (
        "from prometheus_client import Counter\n"
        "Counter('tollgate_decisions', 'Decisions.', ['action']).labels('review').inc(3)"
    )
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", count_three],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)},
            check=True,
            timeout=60,
        )

    text, _ = WebMetrics().exposition("", WorkerFiles(directory))

    assert value(samples(text.decode()), "tollgate_decisions_total", action="review") == 6


def test_a_process_that_has_just_begun_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").touch()

    assert list(CountedFiles(tmp_path).collect()) == []


def test_a_file_that_goes_while_it_is_read_is_not_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "counter_1.db"
    file.write_bytes(b"\x08" + bytes(15))

    def read(files: list[str]) -> dict[str, Any]:
        if files:
            file.unlink()
            raise FileNotFoundError(files[0])
        return {}

    monkeypatch.setattr(MultiProcessCollector, "_read_metrics", staticmethod(read))

    assert list(CountedFiles(tmp_path).collect()) == []


def test_a_scrape_before_any_worker_ran_is_no_error(tmp_path: Path) -> None:
    text, _ = WebMetrics().exposition("", WorkerFiles(tmp_path / "absent"))

    assert b"tollgate_requests_total" in text
