"""`tollgate up` on this machine: what dies comes back, what stops leaves nothing, what was decided stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running_stack import RunningStack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

PAYMENT = {
    "amount": 1500.0,
    "hour": 3,
    "day_of_week": 1,
    "merchant_category": "online",
    "previous_amount": 50.0,
    "time_since_last": 0.5,
}
LIMIT_S = 60.0
LEAN = {
    "TOLLGATE_MLFLOW_ENABLED": "false",
    "TOLLGATE_EXPORTER_ENABLED": "false",
    "TOLLGATE_SCORING_WORKERS": "1",
    "TOLLGATE_BULK_WORKERS": "0",
}


@pytest.fixture
def own(tmp_path: Path, stack: RunningStack) -> Iterator[RunningStack]:
    """A stack of this test's own, not started: one of each process, no side-cars, nothing to train or compile."""
    for kept in ("models", "cache"):
        shutil.copytree(stack.data_dir / kept, tmp_path / "data" / kept)
    running = RunningStack(tmp_path / "data", LEAN)
    yield running
    if running.launcher is not None and running.launcher.poll() is None:
        running.launcher.send_signal(signal.SIGTERM)
        running.launcher.wait(LIMIT_S)


def decides(stack: RunningStack) -> bool:
    status, decision = stack.post("/predict", PAYMENT)
    return status == 200 and decision["action"] in ("approve", "review", "decline")


def scoring_workers(stack: RunningStack) -> list[str]:
    seen = json.loads(stack.tollgate("status", "--json").stdout)
    return [one["worker"] for one in seen["workers"] if one["role"] == "scoring" and one["status"] == "serving"]


@pytest.mark.parametrize("name", ["scoring-1", "bulk-1", "background", "beat", "web", "valkey"])
def test_a_process_that_is_killed_comes_back_and_decisions_go_on(stack: RunningStack, name: str) -> None:
    stack.wait_until(lambda: stack.pid(name) is not None, LIMIT_S)
    before = stack.pid(name)
    assert before is not None

    os.kill(before, signal.SIGKILL)

    stack.wait_until(lambda: stack.pid(name) not in (before, None), LIMIT_S)
    stack.wait_until(lambda: decides(stack), LIMIT_S)


def test_a_worker_that_hangs_is_replaced(stack: RunningStack) -> None:
    stack.wait_until(lambda: stack.get("/health")[0] == 200, LIMIT_S)
    before = stack.pid("scoring-2")
    assert before is not None

    os.kill(before, signal.SIGSTOP)

    stack.wait_until(lambda: stack.pid("scoring-2") not in (before, None), LIMIT_S)
    assert "scoring-2 has not been heard" in stack.output()


def test_status_shows_every_process_the_champion_and_the_versions(stack: RunningStack) -> None:
    stack.wait_until(lambda: stack.get("/health")[0] == 200, LIMIT_S)

    done = stack.tollgate("status", "--json")

    assert done.returncode == 0, done.stdout
    seen = json.loads(done.stdout)
    names = {process["name"] for process in seen["processes"]}
    assert names >= {"valkey", "web", "scoring-1", "scoring-2", "background", "beat", "mlflow"}
    assert seen["champion"]["model_version"]
    assert seen["versions"]["valkey"]
    assert seen["queues"]["queue_depth_score"] == 0


def test_reload_is_answered_by_every_scoring_worker(stack: RunningStack) -> None:
    stack.wait_until(lambda: len(scoring_workers(stack)) == 2, LIMIT_S)

    done = stack.tollgate("reload")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "scoring-1" in done.stdout
    assert "scoring-2" in done.stdout
    assert "bulk-1" in done.stdout


def test_what_a_stack_writes_others_on_the_machine_cannot_read(stack: RunningStack) -> None:
    assert decides(stack)

    written = [stack.data_dir, stack.data_dir / "ledger.db", *stack.data_dir.glob("*/"), *stack.data_dir.glob("logs/*")]

    assert [path for path in written if path.stat().st_mode & 0o077] == []


def test_a_second_launcher_on_the_same_data_is_refused(stack: RunningStack) -> None:
    done = stack.tollgate("up")

    assert done.returncode == 2
    assert f"another `tollgate up` (process {stack.state()['pid']})" in done.stderr


def test_a_busy_port_is_named_with_its_setting_and_nothing_starts(own: RunningStack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", own.ports["PORT"]))
        taken.listen()

        done = own.tollgate("up")

    assert done.returncode == 2
    assert f"port {own.ports['PORT']} on 127.0.0.1" in done.stderr
    assert "TOLLGATE_PORT" in done.stderr
    assert not own.processes()


def test_a_schema_without_a_model_is_refused_with_what_to_do(own: RunningStack, tmp_path: Path) -> None:
    schema = tmp_path / "other.toml"
    schema.write_text('name = "other"\nversion = 1\n[roles]\nlabel = "y"\n[fields.v1]\ntype = "number"\n')

    done = own.tollgate("up", "--schema", str(schema))

    assert done.returncode == 2
    assert f"tollgate train --schema {schema} --data FILE" in done.stdout + done.stderr
    assert not own.processes()


def test_ctrl_c_stops_in_order_and_a_demo_starts_what_is_gone_finds_its_data_and_stops_it_again(
    own: RunningStack,
) -> None:
    own.start()
    assert own.launcher is not None
    _, decision = own.post("/predict", PAYMENT)
    running = own.processes()
    assert len(running) > len(own.state()["processes"]), "granian's own processes are among them"

    own.launcher.send_signal(signal.SIGINT)  # as a terminal's Ctrl-C: it reaches the launcher only

    assert own.launcher.wait(LIMIT_S) == 0
    assert not own.processes()
    log = (own.data_dir / "logs" / "valkey.log").read_text()
    assert "Valkey is now ready to exit" in log

    own.command = (sys.executable, "-m", "deploy.cli", "demo", "--rate", "20")
    own.start()
    status, found = own.get(f"/predictions/{decision['transaction_id']}")
    assert (status, found["decision_id"]) == (200, decision["decision_id"])
    for path in ("/decisions", "/batches"):
        # More than there were: one decision was made before.
        own.wait_until(lambda path=path: len(own.get(path)[1][path[1:]]) > (path == "/decisions"), LIMIT_S)  # type: ignore[misc]

    assert own.stop() == 0
    assert "fraud stopped" in own.output(), "a demo ends with its summary"
    assert not own.processes()


def test_a_launcher_that_is_killed_leaves_no_orphan(own: RunningStack) -> None:
    own.start()
    assert own.launcher is not None
    assert own.processes()

    own.launcher.kill()
    own.launcher.wait()

    own.wait_until(lambda: not own.processes(), LIMIT_S)


def test_a_stack_that_asks_opens_to_the_key_that_it_printed_and_to_one_that_was_made_until_it_is_revoked(
    own: RunningStack,
) -> None:
    own.command = (*own.command, "--auth")
    own.extra = {**own.extra, "TOLLGATE_AUTH_REFRESH_S": "0.2"}
    own.start()

    assert own.post("/predict", PAYMENT)[0] == 401
    assert own.get("/health")[1]["workers"] == []
    own.wait_until(lambda: json.loads(printed_request(own))["fraud_probability"] >= 0, LIMIT_S)

    key = own.tollgate("keys", "create", "--name", "shop", "--scopes", "score").stdout.strip()
    shown = {"X-Api-Key": key}
    own.wait_until(lambda: own.post("/predict", PAYMENT, shown)[0] == 200, LIMIT_S)
    assert own.request("GET", "/decisions", headers=shown)[0] == 403
    own.tollgate("keys", "revoke", key[3:11])
    own.wait_until(lambda: own.post("/predict", PAYMENT, shown)[0] == 401, LIMIT_S)


def printed_request(stack: RunningStack) -> str:
    """What the curl command prints that the launcher has printed."""
    printed = next(line for line in stack.output().splitlines() if line.strip().startswith("curl "))
    command = ["sh", "-c", printed.replace("curl ", "curl -s ")]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killing_make_stops_everything_too(own: RunningStack, tmp_path: Path, number: signal.Signals) -> None:
    environment = tmp_path / "venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    script = environment / "bin" / "tollgate"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deploy.cli "$@"\n')
    script.chmod(0o755)
    (environment / ".installed-run").touch()
    # Variables of the make that runs the tests are not for this one: with `make test ARGS=-x` it would get the -x.
    own.command = ("env", "-u", "MAKEFLAGS", "make", "run", f"VENV={environment}")
    own.start()
    assert own.launcher is not None

    own.launcher.send_signal(number)
    own.launcher.wait(LIMIT_S)

    own.wait_until(lambda: not own.processes(), LIMIT_S)


def test_the_printed_request_works_as_it_is(stack: RunningStack) -> None:
    stack.wait_until(lambda: decides(stack) and "curl " in stack.output(), LIMIT_S)

    assert json.loads(printed_request(stack))["fraud_probability"] >= 0
