"""Ports, lock, logs, watchdog and status file of the launcher."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from config.contracts import WorkerReport, WorkInHand
from config.errors import SettingInvalid
from config.settings import Settings
from deploy.launcher.child import rotate_logs
from deploy.launcher.lock import hold_lock
from deploy.launcher.ports import Port, needed_ports, require_free
from deploy.launcher.status_file import ProcessState, UpState, read_state, write_state
from deploy.launcher.watchdog import Running, Watchdog


def report(name: str, work: WorkInHand | None = None, *, detail: str = "") -> WorkerReport:
    return WorkerReport(name, "scoring", "v1", "abc", "serving", None, detail=detail, work=work)


def batch(since: float) -> WorkInHand:
    return WorkInHand("batch", since)


def test_a_busy_port_is_named_with_its_owner_and_its_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]

        with pytest.raises(SettingInvalid) as caught:
            require_free([Port("Valkey", "127.0.0.1", number, "TOLLGATE_REDIS_PORT")])

    assert f"port {number} on 127.0.0.1, wanted for Valkey" in str(caught.value)
    assert "set TOLLGATE_REDIS_PORT to another port" in str(caught.value)


def test_two_parts_on_one_port_are_refused_before_anything_starts() -> None:
    ports = needed_ports(Settings(port=5000, mlflow_port=5000))

    with pytest.raises(SettingInvalid, match="port 5000 is wanted by both MLflow and the web server"):
        require_free(ports)


def test_only_what_starts_here_needs_a_port() -> None:
    everything = {port.owner for port in needed_ports(Settings())}
    elsewhere = Settings(
        redis_url="redis://broker:6379/0", mlflow_tracking_uri="http://mlflow:5000", exporter_enabled=False
    )

    assert everything == {"the web server", "Valkey", "MLflow", "celery-exporter"}
    assert [port.owner for port in needed_ports(elsewhere)] == ["the web server"]


def test_a_second_launcher_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "run" / "lock"
    held = hold_lock(lock, patience_s=0)

    with pytest.raises(SettingInvalid, match=f"another `tollgate up` \\(process {os.getpid()}\\) uses {tmp_path}"):
        hold_lock(lock, patience_s=0)

    os.close(held)
    os.close(hold_lock(lock, patience_s=0))


def test_logs_of_earlier_runs_are_kept_three_deep(tmp_path: Path) -> None:
    for run in range(1, 6):
        rotate_logs(tmp_path)
        (tmp_path / "web.log").write_text(f"run {run}")

    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"web.log": "run 5", "web.log.1": "run 4", "web.log.2": "run 3", "web.log.3": "run 2"}


def test_the_status_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    process = ProcessState("web", 12, 1, 1000.0, "SIGKILL", "restart")
    state = UpState(7, 999.5, "127.0.0.1", 8000, "redis://127.0.0.1:6390/0", "/d", "/s.toml", [process])

    write_state(tmp_path / "run" / "up.json", state)

    assert read_state(tmp_path / "run" / "up.json") == state
    assert read_state(tmp_path / "nothing.json") is None


def test_a_worker_too_long_in_one_batch_is_replaced() -> None:
    watchdog = Watchdog(limit_s=8)
    workers = [Running("scoring-1", 100.0), Running("scoring-2", 100.0)]
    reports = [report("scoring-1@here", batch(200.0)), report("scoring-2@here", batch(205.0))]

    assert watchdog.hanging(workers, reports, now=207.0) == {}
    assert watchdog.hanging(workers, reports, now=209.0) == {"scoring-1": "has been in one batch for 9 s"}


def test_a_bulk_worker_is_given_more_time_than_one_that_somebody_waits_for() -> None:
    patient = Running("bulk-1", 100.0, patience=10.0)

    assert Watchdog(limit_s=8).hanging([patient], [report("bulk-1", batch(200.0))], now=279.0) == {}
    assert Watchdog(limit_s=8).hanging([patient], [report("bulk-1", batch(200.0))], now=281.0)


def test_a_background_worker_may_be_in_a_task_for_as_long_as_that_task_declares() -> None:
    background = Running("background", 100.0, patience=10.0)
    drains = report("background@here", WorkInHand("tollgate.drain_journal", 200.0, limit_s=90.0))
    draws = report("background@here", WorkInHand("tollgate.check_drift", 200.0, limit_s=180.0))

    assert Watchdog(limit_s=8).hanging([background], [drains], now=289.0) == {}
    assert Watchdog(limit_s=8).hanging([background], [draws], now=291.0) == {}
    assert Watchdog(limit_s=8).hanging([background], [drains], now=291.0) == {
        "background": "has been in one tollgate.drain_journal for 91 s"
    }


def test_a_worker_of_an_earlier_release_says_in_its_details_since_when_it_is_busy() -> None:
    workers = [Running("scoring-1", 100.0), Running("scoring-2", 100.0)]
    reports = [report("scoring-1", detail="busy_since=200.0"), report("scoring-2", detail="busy_since=?")]

    assert list(Watchdog(limit_s=8).hanging(workers, reports, now=209.0)) == ["scoring-1"]


def test_the_last_words_of_a_replaced_worker_do_not_condemn_its_successor() -> None:
    successor = Running("scoring-1", started_at=210.0)

    assert Watchdog(limit_s=8).hanging([successor], [report("scoring-1", batch(200.0))], now=212.0) == {}


def test_a_worker_that_falls_silent_is_replaced_but_one_that_is_still_starting_is_not() -> None:
    watchdog = Watchdog(limit_s=8)
    workers = [Running("scoring-1", 100.0), Running("scoring-2", 100.0)]

    assert watchdog.hanging(workers, [report("scoring-1")], now=110.0) == {}
    assert watchdog.hanging(workers, [], now=119.0) == {"scoring-1": "has not been heard for 9 s"}


def test_silence_while_the_broker_is_away_is_nobodys_fault() -> None:
    watchdog = Watchdog(limit_s=8)
    worker = [Running("scoring-1", 100.0)]
    watchdog.hanging(worker, [report("scoring-1")], now=110.0)

    watchdog.broker_is_away(now=150.0)

    assert watchdog.hanging(worker, [], now=155.0) == {}


def test_unset_places_follow_the_data_directory_and_the_ports() -> None:
    settings = Settings(data_dir=Path("/var/tollgate"), redis_port=7001, mlflow_port=7002)

    assert settings.redis_url == "redis://127.0.0.1:7001/0"
    assert settings.database_url == "sqlite:////var/tollgate/ledger.db"
    assert settings.model_dir == Path("/var/tollgate/models")
    assert settings.mlflow_tracking_uri == "http://127.0.0.1:7002"
