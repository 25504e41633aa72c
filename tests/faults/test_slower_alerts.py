"""A real Prometheus, and what goes wrong without anybody dying: labels, quality, a slow model, a clock, a disk."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config import names
from config.queue.stats import read_champion
from deploy.bench.site import answers
from deploy.launcher import processes
from deploy.launcher.child import Process
from tests.faults.client import Load, Told
from tests.faults.form import Form
from tests.faults.payments import payments
from tests.faults.stack import SCORING, SKEWED_ENVIRONMENT, FaultStack
from tests.prometheus_server import running_prometheus
from tests.servers import RunningPostgres, free_port, running_postgres

LIMIT_S = 60.0
LABELLED = 40
"""Frauds that the model let through: enough for the whole interval of the recall to lie below any promise."""
PROMISED = {
    "test": {
        "outcome": {"n": 10_000, "declined": 60, "reviewed": 300, "missed_fraud": 20, "refused_good": 6},
        "base_rate": 0.01,
        "k": 0,
    }
}
"""What training found, for a bundle that was made without: four of five frauds are stopped."""
AHEAD_S = 3
LATE_S = 0.4
"""A canary that takes this long is slow, and still in time for the scoring worker to be ready."""

QUALITY = ("TollgateQualityBelowPromise",)
LABELS = ("TollgateLabelsStopped",)
SLOW = ("TollgateCanarySlow",)
CLOCK = ("TollgateClockSkew",)
NO_LEDGER = ("TollgateLedgerDown",)
FULL = ("TollgateDiskFull",)


@pytest.fixture
def postgres(shared_stack: FaultStack) -> Iterator[RunningPostgres]:
    """The stack's ledger, in a server that may be stopped; one worker's clock is wrong, both can be made late."""
    stack = shared_stack
    stack.clear_switches()
    ahead = SKEWED_ENVIRONMENT | {"TOLLGATE_TEST_CLOCK_AHEAD_S": str(AHEAD_S)}
    with running_postgres() as server:
        stack.make_whole(stack.faulty(1), stack.faulty(2, **ahead))
        with stack.on_ledger(server.url()):
            yield server


def promise_something(stack: FaultStack) -> None:
    """Give the champion a report of its training."""
    champion = read_champion(stack.client)
    assert champion is not None
    (stack.settings.model_dir / champion.path / "report.json").write_text(json.dumps(PROMISED))


def send_feedback(stack: FaultStack, ids: Sequence[str], *, is_fraud: bool) -> None:
    """Say of payments what they were; each must be accepted."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10)
    known_at = datetime.now(UTC).isoformat()
    for transaction_id in ids:
        label = {"transaction_id": transaction_id, "is_fraud": is_fraud, "source": "chargeback", "known_at": known_at}
        connection.request("POST", "/feedback", json.dumps(label), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status in (200, 202), answer.read()
        answer.read()
    connection.close()


def roll_up_until(stack: FaultStack, *, frauds: int) -> None:
    """Have live quality rolled up until it knows of so many frauds. Beat asks for it once an hour."""
    with stack.ledger() as ledger:

        def is_known() -> bool:
            stack.ask_background(names.TASK_ROLL_UP_QUALITY)
            time.sleep(0.5)
            cells = ledger.quality.cells("all")
            return bool(cells) and sum(cell.frauds for cell in cells) == frauds

        stack.wait_until(is_known, LIMIT_S)


def test_alerts_fire_for_what_goes_wrong_slowly(
    shared_stack: FaultStack, form: Form, postgres: RunningPostgres, prefix: str, tmp_path: Path
) -> None:
    stack, told = shared_stack, Told()
    promise_something(stack)
    with running_prometheus(tmp_path, web_port=stack.port) as prometheus:
        prometheus.wait_until_resolved(*QUALITY, *NO_LEDGER, limit_s=LIMIT_S)
        with Load(stack.port, payments(prefix, count=2 * LABELLED, async_every=0), told=told) as load:
            load.wait_for(2 * LABELLED, LIMIT_S)
        approved = [one for one, decided in told.decided.items() if decided["action"] == "approve"][:LABELLED]
        send_feedback(stack, approved, is_fraud=True)
        for worker in SCORING:
            stack.switch(f"late-{worker}", str(LATE_S))
        roll_up_until(stack, frauds=LABELLED)
        prometheus.wait_until_firing(*QUALITY, *LABELS, *SLOW, *CLOCK, limit_s=LIMIT_S)
        stack.clear_switches()
        postgres.stop()
        prometheus.wait_until_firing(*NO_LEDGER, limit_s=LIMIT_S)
        prometheus.wait_until_resolved(*SLOW, limit_s=LIMIT_S)

        postgres.start()
        prometheus.wait_until_resolved(*NO_LEDGER, limit_s=LIMIT_S)
        if form.is_full:
            stack.replace(processes.scoring(2))
            stack.wait_until_serving()
            send_feedback(stack, approved, is_fraud=False)
            roll_up_until(stack, frauds=0)
            prometheus.wait_until_resolved(*QUALITY, *LABELS, *CLOCK, limit_s=LIMIT_S)


def web_on_a_small_disk(stack: FaultStack, port: int, disk: Path) -> Process:
    """A web process that alone sees, at `disk`, one of 64 MB with 4 MB left; a mount that ends with it."""
    told = processes.web(stack.settings.model_copy(update={"port": port}))
    small = 'mount -t tmpfs -o size=64m tmpfs "$0" && head -c 60m /dev/zero > "$0/filler" && exec "$@"'
    argv = ("unshare", "--map-root-user", "--mount", "sh", "-c", small, str(disk), *told.argv)
    return replace(told, name="web-on-a-small-disk", argv=argv, env={"TOLLGATE_DATA_DIR": str(disk)})


def can_mount() -> bool:
    """Whether a process may have mounts of its own here; in most containers it may not."""
    if shutil.which("unshare") is None:
        return False
    attempt = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(attempt, check=False, capture_output=True).returncode == 0


def test_an_alert_fires_when_the_disk_fills_up(shared_stack: FaultStack, form: Form, tmp_path: Path) -> None:
    if not form.is_full:
        pytest.skip("ten seconds for one alert: in the full form only")
    if not can_mount():
        pytest.skip("no mounts of our own here: a disk cannot be filled without filling a real one")
    stack, port, disk = shared_stack, free_port(), tmp_path / "disk"
    disk.mkdir()
    web = stack.start(web_on_a_small_disk(stack, port, disk))
    try:
        stack.wait_until(lambda: answers(port, "GET", "/health/live"), LIMIT_S)
        with running_prometheus(tmp_path, web_port=port) as prometheus:
            prometheus.wait_until_firing(*FULL, limit_s=LIMIT_S)
            Path(f"/proc/{web.pid}/root{disk}/filler").unlink()
            prometheus.wait_until_resolved(*FULL, limit_s=LIMIT_S)
    finally:
        stack.kill(web.process.name)
