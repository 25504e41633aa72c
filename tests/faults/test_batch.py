"""A batch with bad rows, and a worker that is killed while it is scored."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.faults.client import Told
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import Payment, payment
from tests.faults.promise import assert_one_decision_each
from tests.faults.stack import SCORING, FaultStack

BAD_EVERY = 100
ENDED = ("completed", "failed", "cancelled", "expired")


@pytest.mark.scenario(17, "batch with 1% bad rows and a worker killed")
def test_a_batch_survives_a_killed_worker_and_names_its_bad_rows(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    rows = [payment(prefix, number) for number in range(form.pick(short=2_000, full=10_000))]
    bad = {row.transaction_id for row in rows[::BAD_EVERY]}
    lines = [_spoiled(row) if row.transaction_id in bad else row.body for row in rows]
    status, batch = _request(stack, "POST", "/batches", b"\n".join(lines) + b"\n")
    if status == 404:
        pytest.skip("POST /batches is not there")
    assert status == 202, batch
    path = f"/batches/{json.loads(batch)['id']}"
    victim = next((name for name in stack.children if name.startswith("bulk")), SCORING[0])

    stack.wait_until(lambda: _counts(stack, path)["completed"] > 0, 120)
    killed_after = _counts(stack, path)["completed"]
    stack.restart(victim)
    began = time.monotonic()
    stack.wait_until(lambda: _report(stack, path)["status"] in ENDED, form.pick(short=120.0, full=300.0))

    good = [row for row in rows if row.transaction_id not in bad]
    told = Told(sent={row.transaction_id: row for row in good}, pending={row.transaction_id for row in good})
    kept = assert_one_decision_each(stack, told, prefix)
    scenario.note(
        rows=len(rows), decisions=kept.accepted, row_errors=len(bad), killed_after_rows=killed_after,
        ended_after_the_kill_s=time.monotonic() - began,
    )  # fmt: skip
    assert _report(stack, path)["status"] == "completed"
    assert _counts(stack, path) == {"total": len(rows), "completed": len(good), "failed": len(bad)}
    assert [row["transaction_id"] for row in _lines(stack, f"{path}/results")] == [one.transaction_id for one in good]
    assert len(_lines(stack, f"{path}/errors")) == len(bad)


def _spoiled(row: Payment) -> bytes:
    return json.dumps({**json.loads(row.body), "amount": -1.0}).encode()


def _report(stack: FaultStack, path: str) -> dict[str, Any]:
    status, body = _request(stack, "GET", path)
    assert status == 200, body
    report: dict[str, Any] = json.loads(body)
    return report


def _counts(stack: FaultStack, path: str) -> dict[str, int]:
    counts: dict[str, int] = _report(stack, path)["request_counts"]
    return counts


def _lines(stack: FaultStack, path: str) -> list[dict[str, Any]]:
    status, body = _request(stack, "GET", path)
    assert status == 200, body
    return [json.loads(line) for line in body.splitlines()]


def _request(stack: FaultStack, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": "application/x-ndjson"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
