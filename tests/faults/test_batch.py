"""A batch with bad rows, and a worker that is killed while it is scored."""

from __future__ import annotations

import json
import time

import pytest

from deploy.launcher import processes
from tests.faults.client import Told
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import Payment, payment
from tests.faults.promise import assert_one_decision_each
from tests.faults.stack import FaultStack
from tests.faults.uploads import upload

BAD_EVERY = 100


@pytest.mark.scenario(17, "batch with 1% bad rows and a worker killed")
def test_a_batch_survives_a_killed_worker_and_names_its_bad_rows(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    rows = [payment(prefix, number) for number in range(form.pick(short=2_000, full=10_000))]
    bad = {row.transaction_id for row in rows[::BAD_EVERY]}
    bulk = processes.bulk(1)
    stack.make_whole(bulk)
    batch = upload(stack, [_spoiled(row) if row.transaction_id in bad else row.body for row in rows])
    killed_after = batch.wait_until_begun(120)
    stack.restart(bulk.name)
    began = time.monotonic()
    batch.wait_until_ended(form.pick(short=120.0, full=300.0))

    good = [row for row in rows if row.transaction_id not in bad]
    told = Told(sent={row.transaction_id: row for row in good}, pending={row.transaction_id for row in good})
    kept = assert_one_decision_each(stack, told, prefix)
    scenario.note(
        rows=len(rows), decisions=kept.accepted, row_errors=len(bad), killed_after_rows=killed_after,
        ended_after_the_kill_s=time.monotonic() - began,
    )  # fmt: skip
    assert batch.report()["status"] == "completed"
    assert batch.counts() == {"total": len(rows), "completed": len(good), "failed": len(bad)}
    assert [row["transaction_id"] for row in batch.lines("results")] == [one.transaction_id for one in good]
    assert len(batch.lines("errors")) == len(bad)


def _spoiled(row: Payment) -> bytes:
    return json.dumps({**json.loads(row.body), "amount": -1.0}).encode()
