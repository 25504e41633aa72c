"""A whole benchmark in its shortest form: it ends with a complete report. Nothing here is timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from deploy.bench.report import END
from deploy.commands.bench import REPOSITORY

pytestmark = pytest.mark.slow

SHORT = ("--level", "32", "--rate", "20", "--seconds", "1", "--repetitions", "1")


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict[str, Any]:
    """The JSON report of `tollgate bench` over all servers, in windows of one second."""
    home = tmp_path_factory.mktemp("bench")
    argv = [sys.executable, "-m", "deploy.cli", "bench", *SHORT, "--output", str(home / "docs")]
    env = {**os.environ, "TOLLGATE_DATA_DIR": str(home / "data")}
    done = subprocess.run(argv, cwd=REPOSITORY, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (home / "docs" / "benchmarks.md").read_text().strip().endswith(END)
    assert not (home / "data" / "bench").exists()
    return json.loads((home / "docs" / "benchmarks.json").read_text())


def test_every_server_is_measured_at_every_level_and_rate(report):
    measured = [(r["server"], r["result"]["bodies"], r["result"]["rate"]) for r in report["runs"]]
    assert measured == [
        ("tollgate", "builtin", None),
        ("tollgate", "history", None),
        ("tollgate", "builtin", 20.0),
        ("tollgate_everysec", "builtin", None),
        *((server, "builtin", rate) for server in ("empty", "in_process", "plain_queue") for rate in (None, 20.0)),
    ]


def test_every_server_answers_and_its_cost_is_known(report):
    for run in report["runs"]:
        assert run["result"]["statuses"].get("200", 0) > 0, run
        assert run["result"]["cpu"]["memory_mb"] > 0, run
        # The kernel counts processor time in ticks of 10 ms: twenty requests in a second may not fill one.
        assert run["result"]["cpu"]["ms_per_request"] > 0 or run["result"]["rate"], run


def test_the_targets_of_the_measured_level_are_judged(report):
    assert [verdict["target"].split(" connection")[0] for verdict in report["verdicts"]] == ["at 32"] * 3


def test_the_stages_of_web_and_workers_are_reported(report):
    stages = {stage["name"] for stage in report["stages"]}
    assert {name.partition(":")[0] for name in stages} == {"web", "scoring worker"}


def test_the_machine_is_described(report):
    assert {"cpu", "cores", "kernel", "python", "versions", "sync_ms"} <= set(report["machine"])
