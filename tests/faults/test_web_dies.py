"""A web process that is killed while requests wait in it."""

from __future__ import annotations

import time

import pytest

from tests.faults.client import Load
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import payments
from tests.faults.promise import assert_one_decision_each
from tests.faults.stack import SCORING, FaultStack


@pytest.mark.scenario(19, "web killed with requests waiting")
def test_requests_that_waited_in_a_killed_web_process_are_decided_once(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario
) -> None:
    kills = form.pick(short=1, full=20)
    with Load(stack.port, payments(prefix), clients=24, rate=form.pick(short=100.0, full=300.0)) as load:
        for _ in range(kills):
            time.sleep(form.pick(short=0.5, full=1.0))
            with stack.frozen(*SCORING):
                time.sleep(0.5)
                stack.restart("web")
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=600.0))

    kept = assert_one_decision_each(stack, load.told, prefix)
    cut_off = {one.transaction_id for one in load.told.attempts if one.status == 0}
    scenario.note(
        accepted=kept.accepted, kills=kills, cut_off=len(cut_off),
        cut_off_and_accepted_later=len(cut_off & load.told.accepted), settled_after_s=kept.settled_s,
    )  # fmt: skip
    assert cut_off, "no request was waiting"
