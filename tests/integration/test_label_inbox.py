"""Labels in the inbox: they wait for their ledger and for their decision, however long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from config import names
from config.contracts import Decision, JournalEntry, JournalRecord, LabelEntry
from config.errors import LedgerUnavailable
from config.queue.messages import task_message
from config.queue.server_scripts import register
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger, StoredDecision
from tests.inbox_work import (
    OVERDUE_S,
    SETTINGS,
    accept,
    app,
    attempts_of,
    dead,
    let_time_pass,
    row,
    take,
)
from workers import background
from workers.background import BackgroundRuntime
from workers.inbox import Reaper
from workers.label_patience import PATIENCE_S
from workers.labels import record_label


class LateLedger(Ledger):
    """A ledger that is down at first, then does not know the decision yet."""

    is_down = True

    def decision_by_id(self, decision_id: str) -> StoredDecision | None:
        if self.is_down:
            raise LedgerUnavailable("the database does not answer")
        return super().decision_by_id(decision_id)


@pytest.fixture
def ledger(redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LateLedger:
    """The ledger of an installed background runtime."""
    schema = load_schema(DEFAULT_SCHEMA)
    ledger = LateLedger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=schema)
    ledger.migrate()
    spec = FeatureSpec.from_schema(schema, SETTINGS.history_events)
    runtime = BackgroundRuntime(SETTINGS, redis_client, ledger, schema, spec, app(), "background@test")
    monkeypatch.setattr(background, "_runtime", runtime)
    return ledger


def now_s(client: Redis) -> float:
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6)


def accept_label(client: Redis, label: LabelEntry) -> str:
    entry_id = f"label:{label.label_id}"
    message = task_message(app(), names.TASK_RECORD_LABEL, names.QUEUE_BACKGROUND).render(entry_id)
    register(client, "accept")(
        keys=["", names.inbox_key(entry_id), names.INBOX_DUE, names.QUEUE_BACKGROUND],
        args=[label.label_id, entry_id, msgspec.json.encode(label), names.TASK_RECORD_LABEL, message, OVERDUE_S],
    )
    return entry_id


def test_a_label_outlives_a_ledger_outage_and_a_decision_that_is_late(
    ledger: LateLedger, reaper: Reaper, redis_client: Redis
) -> None:
    entry_id = accept_label(redis_client, LabelEntry("l1", True, "chargeback", 2.0, now_s(redis_client), "d1", "t1"))

    for round_number in range(20):
        ledger.is_down = round_number < 10
        record_label(take(redis_client, names.QUEUE_BACKGROUND))
        assert dead(redis_client) == []
        assert attempts_of(redis_client, entry_id) == 0
        let_time_pass(redis_client, 61)
        assert reaper.run() == 1

    assert redis_client.hget(names.inbox_key(entry_id), "failure") == b"the decision about t1 is not in the ledger yet"


def test_a_label_that_came_before_its_decision_is_recorded_against_it(ledger: LateLedger, redis_client: Redis) -> None:
    entry_id = accept_label(redis_client, LabelEntry("l1", True, "chargeback", 2.0, now_s(redis_client), None, "t1"))
    record_label(entry_id)
    assert redis_client.exists(names.inbox_key(entry_id)), "it waits for the decision"

    decision = Decision("d1", "t1", 0.1, False, 10, "low", "approve", [], "m1", "2026-01-01T00:00:00.000Z")
    schema = load_schema(DEFAULT_SCHEMA)
    record = JournalRecord(1, "f" * 16, schema.digest, 1, 1.0, 5.0, row("t1").values, {})
    ledger.store([JournalEntry(decision, record, b"")])
    record_label(entry_id)

    [(_, fields)] = redis_client.xrange(names.JOURNAL)
    assert msgspec.json.decode(fields[b"l"], type=LabelEntry).decision_id == "d1"
    assert not redis_client.exists(names.inbox_key(entry_id))


def test_a_label_whose_decision_never_came_is_given_up_after_a_day_and_not_while_it_may_come(
    ledger: LateLedger, redis_client: Redis
) -> None:
    ledger.is_down = False
    a_day_ago = now_s(redis_client) - PATIENCE_S - 1
    entry_id = accept_label(redis_client, LabelEntry("l1", True, "chargeback", 2.0, a_day_ago, None, "t1"))
    inbox, journal = names.inbox_key(names.transaction_entry("t1")), names.JOURNAL_BULK

    def attempts_after_a_try() -> int:
        record_label(entry_id)
        return attempts_of(redis_client, entry_id)

    accept(redis_client, "t1")
    assert attempts_after_a_try() == 0, "the transaction waits to be scored"
    redis_client.hset(inbox, "dead_ms", 1)
    redis_client.xadd(journal, {"x": b""}, id=f"{int((now_s(redis_client) - 3600) * 1000)}-0")
    redis_client.xreadgroup(names.JOURNAL_GROUP, "another", {journal: ">"})
    assert attempts_after_a_try() == 0, "the ledger is an hour behind"
    redis_client.delete(journal)

    for _ in range(SETTINGS.inbox_attempts):
        record_label(entry_id)

    assert dead(redis_client) == [entry_id.encode()]
    failure = redis_client.hget(names.inbox_key(entry_id), "failure")
    assert failure == b"the decision about t1 never came to the ledger"


def test_a_label_that_can_be_recorded_leaves_the_inbox(ledger: LateLedger, redis_client: Redis) -> None:
    values: list[Any] = row("t1").values
    entry_id = accept_label(redis_client, LabelEntry("l1", True, "api", 2.0, 3.0, digest="f" * 16, values=values))

    record_label(entry_id)

    assert not redis_client.exists(names.inbox_key(entry_id))
    assert redis_client.zcard(names.INBOX_DUE) == 0
    assert redis_client.xlen(names.JOURNAL) == 1


def test_a_label_that_cannot_be_read_becomes_a_dead_letter(ledger: LateLedger, redis_client: Redis) -> None:
    entry_id = accept_label(redis_client, LabelEntry("l1", True, "api", 2.0, 3.0))
    redis_client.hset(names.inbox_key(entry_id), "payload", b"{")

    for _ in range(3):
        with pytest.raises(msgspec.DecodeError):
            record_label(entry_id)

    assert dead(redis_client) == [entry_id.encode()]
    assert redis_client.hget(names.inbox_key(entry_id), "failure") == b"DecodeError"
