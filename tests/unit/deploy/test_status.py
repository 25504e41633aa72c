"""`tollgate status`: what it says of a stack that is up, starting or down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from config.contracts import ChampionPointer, WorkerReport
from deploy.cli import main
from deploy.launcher.look import Look, ProcessLook, describe
from deploy.launcher.status_file import ProcessState
from deploy.launcher.status_table import duration, headline, render

CLOSED_PORT = "1"


def seen(**changes: object) -> Look:
    usual: dict[str, object] = {
        "is_up": True,
        "is_healthy": True,
        "url": "http://localhost:8000",
        "data_dir": "/data",
        "schema": "payment.toml",
        "versions": {"tollgate": "0.1.0", "python": "3.13.1", "valkey": "9.1.2"},
        "processes": [ProcessLook("scoring-1", "running", 4711, 75.0, 2, "SIGKILL")],
        "health": {"status": "ok"},
        "broker": "up",
        "queues": {"queue_depth_score": 3, "queue_oldest_age_s_score": 47, "journal_length": 12},
        "workers": [WorkerReport("scoring-1@here", "scoring", "model-7", "abc", "serving", "today")],
        "champion": ChampionPointer("model-7", "abc", "model-7", 4, "today"),
    }
    return Look(**{**usual, **changes})  # type: ignore[arg-type]


def printed(look: Look) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(render(look))
    return capture.get()


def test_everything_that_is_known_is_shown() -> None:
    text = printed(seen())

    for fact in (
        "up and scoring",
        "model-7",
        "4711",
        "SIGKILL",
        "75 s",
        "valkey 9.1.2",
        "journal length",
        "12",
        "47 s",
    ):
        assert fact in text


def test_a_stack_that_is_not_ready_says_why() -> None:
    look = seen(is_healthy=False, health={"detail": "no model is promoted yet"})

    assert headline(look) == "not ready: no model is promoted yet"


def test_a_process_is_running_restarting_or_unavailable() -> None:
    running = ProcessState("web", 7, 0, 100.0, None, "restart")
    restarting = ProcessState("web", None, 3, 100.0, "exit 1", "restart")
    unavailable = ProcessState("celery-exporter", None, 0, 100.0, "exit 69", "unavailable")

    assert [describe(one, 160.0).state for one in (running, restarting, unavailable)] == [
        "running",
        "restarting",
        "unavailable",
    ]
    assert describe(running, 160.0).uptime_s == 60.0


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (59.6, "60 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_read_like_speech(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_stack_that_is_down_is_said_to_be_down_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TOLLGATE_PORT", CLOSED_PORT)
    monkeypatch.setenv("TOLLGATE_REDIS_PORT", CLOSED_PORT)

    for_people = CliRunner().invoke(main, ["status"])
    for_machines = CliRunner().invoke(main, ["status", "--json"])

    assert for_people.exit_code == for_machines.exit_code == 1
    assert "down: nothing answers" in for_people.output
    assert json.loads(for_machines.output)["is_up"] is False
    assert json.loads(for_machines.output)["broker"] == "down"
