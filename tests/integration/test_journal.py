"""The journal's way into the ledger: nothing acknowledged before it is committed, nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from redis import Redis

from config import names
from config.contracts import Decision, JournalEntry, JournalRecord, LabelEntry
from config.errors import LedgerUnavailable
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from ml.ledger import Ledger
from ml.ledger.records import EntriesRefused
from workers import journal
from workers.journal import JournalDrain

SCHEMA = load_schema(DEFAULT_SCHEMA)
SETTINGS = Settings(journal_batch=10)


def write(client: Redis, number: int) -> None:
    decision = Decision(
        f"d{number}", f"t{number}", 0.1, False, 10, "low", "approve", [], "m1", "2026-01-01T00:00:00.000Z"
    )
    record = JournalRecord(number, f"{number:016x}", SCHEMA.digest, 1, 1.0, 5.0, [None] * len(SCHEMA.fields), {})
    client.xadd(names.JOURNAL, {"d": msgspec.json.encode(decision), "r": msgspec.json.encode(record), "x": b"\0" * 8})


def write_label(client: Redis, number: int) -> None:
    label = LabelEntry(f"l{number}", True, "chargeback", 2.0, 3.0, f"d{number}", f"t{number}")
    client.xadd(names.JOURNAL, {"l": msgspec.json.encode(label), "s": "1000"})


def drain(client: Redis, ledger: Ledger, consumer: str = "a") -> JournalDrain:
    return JournalDrain(client, ledger, SCHEMA, SETTINGS, consumer=consumer)


def test_everything_moves_into_the_ledger_and_leaves_the_stream(redis_client: Redis, ledger: Ledger) -> None:
    for number in range(25):
        write(redis_client, number)
    write_label(redis_client, 3)

    assert drain(redis_client, ledger).run(5) == 26

    assert ledger.count_decisions() == 25
    assert ledger.labels_of("d3")[0].label.is_fraud
    assert redis_client.xlen(names.JOURNAL) == 0
    assert redis_client.xpending(names.JOURNAL, names.JOURNAL_GROUP)["pending"] == 0


class DownLedger(Ledger):
    """A ledger that cannot be reached for a while."""

    is_down = True

    def store(self, entries: Sequence[JournalEntry]) -> int:
        if self.is_down:
            raise LedgerUnavailable("the database does not answer")
        return super().store(entries)


def test_what_could_not_be_stored_is_the_first_to_move_once_the_ledger_is_back(
    redis_client: Redis, tmp_path: Path
) -> None:
    down = DownLedger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    down.migrate()
    write(redis_client, 1)
    with pytest.raises(LedgerUnavailable):
        drain(redis_client, down).run(5)

    down.is_down = False

    assert drain(redis_client, down).run(5) == 1, "without waiting until it counts as abandoned"


def test_while_the_ledger_is_down_nothing_is_acknowledged_and_it_moves_afterwards(
    redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "CLAIM_IDLE_MS", 0)
    down = DownLedger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    down.migrate()
    write(redis_client, 1)

    with pytest.raises(LedgerUnavailable):
        drain(redis_client, down).run(5)
    assert redis_client.xlen(names.JOURNAL) == 1

    down.is_down = False
    assert drain(redis_client, down, consumer="b").run(5) == 1
    assert down.count_decisions() == 1


def test_entries_of_a_dead_consumer_are_claimed(
    redis_client: Redis, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "CLAIM_IDLE_MS", 0)
    write(redis_client, 1)
    dead = drain(redis_client, ledger, consumer="dead")
    dead._create_group()
    assert len(dead._fresh()) == 1

    assert drain(redis_client, ledger, consumer="alive").run(5) == 1
    assert ledger.count_decisions() == 1


def test_an_entry_that_is_delivered_twice_is_stored_once(redis_client: Redis, ledger: Ledger) -> None:
    for _ in range(3):
        write(redis_client, 1)

    assert drain(redis_client, ledger).run(5) == 3
    assert ledger.count_decisions() == 1


class PickyLedger(Ledger):
    """Refuses one transaction for its content, as PostgreSQL does with a NUL character."""

    def store(self, entries: Sequence[JournalEntry]) -> int:
        bad = [entry for entry in entries if entry.decision.transaction_id == "t2"]
        stored = super().store([entry for entry in entries if entry not in bad])
        if bad:
            raise EntriesRefused([(entry, "a NUL character") for entry in bad], stored)
        return stored


def test_what_the_database_will_never_take_is_set_aside_with_its_reason(redis_client: Redis, tmp_path: Path) -> None:
    picky = PickyLedger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    picky.migrate()
    for number in range(4):
        write(redis_client, number)

    drain(redis_client, picky).run(5)

    assert picky.count_decisions() == 3
    ((_, kept),) = redis_client.xrange(names.JOURNAL_REFUSED)
    assert kept[b"reason"] == b"a NUL character"
    assert msgspec.json.decode(kept[b"d"], type=Decision).transaction_id == "t2"
    assert redis_client.xlen(names.JOURNAL) == 0
