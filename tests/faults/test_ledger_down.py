"""A ledger that is down for a while: decisions go on, and wait in the journal."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.faults.client import Load, percentile
from tests.faults.figures import Scenario
from tests.faults.form import Form
from tests.faults.payments import payments
from tests.faults.promise import assert_one_decision_each
from tests.faults.stack import FaultStack
from tests.servers import RunningPostgres, running_postgres


@pytest.fixture
def postgres_ledger(stack: FaultStack) -> Iterator[RunningPostgres]:
    """The stack's ledger, moved to a PostgreSQL server that may be stopped: a SQLite file cannot be down."""
    with running_postgres() as postgres, stack.on_ledger(postgres.url()):
        yield postgres


@pytest.mark.scenario(12, "ledger database down")
def test_a_ledger_that_is_down_loses_nothing_and_catches_up(
    stack: FaultStack, form: Form, prefix: str, scenario: Scenario, postgres_ledger: RunningPostgres
) -> None:
    with Load(stack.port, payments(prefix), rate=form.pick(short=60.0, full=200.0)) as load:
        time.sleep(0.5)
        down_from = time.monotonic()
        postgres_ledger.stop()
        time.sleep(form.pick(short=2.0, full=60.0))
        waiting = stack.stats()["journal_length"]
        postgres_ledger.start()
        down_until = time.monotonic()
        load.wait_for(form.accepted, limit_s=form.pick(short=60.0, full=600.0))

    kept = assert_one_decision_each(stack, load.told, prefix)
    scenario.note(
        accepted=kept.accepted, journal_while_down=waiting, settled_after_s=kept.settled_s,
        p99_while_down_ms=percentile(load.told.took_ms(200, since=down_from, until=down_until), 0.99),
    )  # fmt: skip
    assert waiting > 0
    assert set(load.told.statuses) <= {200, 202}
