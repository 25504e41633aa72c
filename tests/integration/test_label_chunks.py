"""A file of labels on a real broker: accepted in chunks, recorded once, into the ledger and the histories."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import OutOfMemoryError, Redis
from structlog.testing import capture_logs

from config import names
from config.contracts import JournalEntry, LabelEntry
from config.errors import LabelConflict, LedgerUnavailable
from config.queue.dead_letters import DeadLetters, types_of
from config.queue.server_scripts import register
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger, StoredDecision
from tests.inbox_work import app, let_time_pass, take, waiting
from tests.ledger_entries import NOON, entry
from web.gateway import Gateway
from web.label_chunks import label_entry
from web.ledger_reader import LedgerReader
from web.ports.labels import Label
from workers import background
from workers.background import BackgroundRuntime
from workers.inbox import Reaper
from workers.journal import journal_drain
from workers.label_chunks import record_labels
from workers.labels import MARKER_LIFETIME_S, record_label

SCHEMA = load_schema(DEFAULT_SCHEMA)
DAY = timedelta(days=1)
LOG_HEADER = 24


class LateLedger(Ledger):
    """A ledger that is down for as long as a test says, and lets a test do something while it is read."""

    is_down = False
    forgets_labels = False
    meanwhile: Callable[[], Any] = bool

    def decisions_by_id(self, decision_ids: Any) -> dict[str, StoredDecision]:
        if self.is_down:
            raise LedgerUnavailable("the database does not answer")
        self.meanwhile()
        return super().decisions_by_id(decision_ids)

    def label_digests(self, label_ids: Sequence[str]) -> dict[str, str]:
        if self.forgets_labels:
            raise LedgerUnavailable("the database does not answer")
        return super().label_digests(label_ids)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LateLedger]:
    ledger = LateLedger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    ledger.migrate()
    yield ledger
    ledger.close()


@pytest.fixture
def runtime(
    settings: Settings, ledger: Ledger, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> BackgroundRuntime:
    spec = FeatureSpec.from_schema(SCHEMA, settings.history_events)
    runtime = BackgroundRuntime(settings, redis_client, ledger, SCHEMA, spec, app(), "background@test")
    monkeypatch.setattr(background, "_runtime", runtime)
    return runtime


@pytest.fixture
def gateway(settings: Settings, ledger: Ledger) -> Iterator[Gateway]:
    gateway = Gateway(settings, SCHEMA, LedgerReader(ledger, SCHEMA))
    yield gateway
    gateway.close()


def decided(number: int) -> JournalEntry:
    """Decision `d-<number>` about a payment of account `a-<number>`."""
    values = [f"a-{number}" if field.name == "account_id" else None for field in SCHEMA.fields]
    return entry(number, schema_digest=SCHEMA.digest, values=values)


def label(number: int, *, is_fraud: bool = True, known_at: datetime = NOON + DAY, **about: Any) -> Label:
    about = about or {"transaction_id": f"t-{number}"}
    return Label(label_id=f"l-{number}-{is_fraud}", is_fraud=is_fraud, source="chargeback", known_at=known_at, **about)


def refused(gateway: Gateway, labels: Sequence[Label]) -> dict[int, str]:
    """Send a chunk; code of the refusal by place in it."""
    return {at: one.code for at, one in enumerate(gateway.record_labels(labels)) if one is not None}


def account_log(client: Redis, number: int) -> list[tuple[bool, float]]:
    """(is fraud, weight) of every record in the label log of account `a-<number>`."""
    stored: Any = client.get(names.labels_key("account", f"a-{number}")) or b""
    return [(bool(is_fraud), weight) for _, _, is_fraud, weight in struct.iter_unpack("<4d", stored[LOG_HEADER:])]


def entries_of(client: Redis, entry_id: str) -> list[LabelEntry]:
    """What waits in a chunk."""
    payload: Any = client.hget(names.inbox_key(entry_id), "payload")
    return msgspec.json.decode(payload, type=list[LabelEntry])


def work_off(client: Redis) -> None:
    """Record every chunk that waits, as the background worker does."""
    while client.llen(names.QUEUE_BACKGROUND):
        record_labels(take(client, names.QUEUE_BACKGROUND))


@pytest.mark.usefixtures("runtime")
def test_a_chunk_reaches_the_ledger_and_the_history_once(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, runtime: BackgroundRuntime
) -> None:
    ledger.store([decided(number) for number in range(40)])
    file = [replace(label(number, is_fraud=number % 2 == 0), client="key:back-office") for number in range(40)]

    for _ in range(2):
        assert refused(gateway, file) == {}
        work_off(redis_client)
        journal_drain(runtime).run(5)

    assert ledger.summary().labels == 40
    said = [stored.label for number in (0, 1) for stored in ledger.labels_of(f"d-{number}")]
    assert [(one.is_fraud, one.client) for one in said] == [(True, "key:back-office"), (False, "key:back-office")]
    assert account_log(redis_client, 0) == [(True, 1.0)]
    assert redis_client.zcard(names.INBOX_DUE) == 0
    assert list(redis_client.scan_iter(names.inbox_key("*"))) == []


def test_unknown_ids_are_told_and_the_others_kept(gateway: Gateway, ledger: Ledger, redis_client: Redis) -> None:
    ledger.store([decided(1), decided(2)])

    sent = [label(1), label(9), label(2, decision_id="d-2"), label(3, decision_id="nobody")]

    assert refused(gateway, sent) == {1: "unknown_id", 3: "unknown_id"}
    assert len(waiting(redis_client, names.QUEUE_BACKGROUND)) == 1


def test_a_chunk_of_unknown_ids_alone_leaves_nothing(gateway: Gateway, redis_client: Redis) -> None:
    assert refused(gateway, [label(1)]) == {0: "unknown_id"}
    assert redis_client.zcard(names.INBOX_DUE) == 0
    assert redis_client.llen(names.QUEUE_BACKGROUND) == 0


@pytest.mark.usefixtures("runtime")
def test_a_label_id_that_says_something_else_is_refused_in_its_row_and_what_it_said_first_stands(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, runtime: BackgroundRuntime
) -> None:
    ledger.store([decided(number) for number in range(4)])
    said = [replace(label(number), label_id=f"mine-{number}") for number in range(4)]
    gateway.record_labels([said[0]])
    work_off(redis_client)
    gateway.record_label(said[1])

    sent = [
        replace(said[0], is_fraud=False),  # its id is recorded
        replace(said[0], known_at=NOON + 2 * DAY),  # says the same, known later
        replace(said[1], is_fraud=False),  # its id was sent alone and waits
        said[2],
        replace(said[2], transaction_id="t-3"),  # its id stands in the row before
    ]

    assert refused(gateway, sent) == dict.fromkeys((0, 2, 4), "label_conflict")
    record_label(take(redis_client, names.QUEUE_BACKGROUND))
    work_off(redis_client)
    journal_drain(runtime).run(5)
    stored = [[one.label.is_fraud for one in ledger.labels_of(f"d-{number}")] for number in range(4)]
    assert stored == [[True], [True], [True], []]


@pytest.mark.usefixtures("runtime")
def test_of_two_chunks_that_wait_the_label_recorded_first_stands_and_the_other_is_logged(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, runtime: BackgroundRuntime
) -> None:
    ledger.store([decided(1)])
    first = label(1)
    for one in (first, replace(first, is_fraud=False)):
        assert refused(gateway, [one]) == {}

    with capture_logs() as logged:
        work_off(redis_client)

    assert [(line["event"], line["label_id"]) for line in logged] == [("label_conflict", first.label_id)]
    journal_drain(runtime).run(5)
    assert [one.label.is_fraud for one in ledger.labels_of("d-1")] == [True]


@pytest.mark.usefixtures("runtime")
def test_two_labels_of_one_payment_in_a_chunk_count_as_one_revision(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, runtime: BackgroundRuntime
) -> None:
    ledger.store([decided(1)])
    late, early = label(1, is_fraud=False, known_at=NOON + 3 * DAY), label(1, known_at=NOON + DAY)

    gateway.record_labels([early, late])
    work_off(redis_client)
    journal_drain(runtime).run(5)

    found = ledger.decision_by_id("d-1")
    assert found is not None
    assert found.label is not None
    assert not found.label.is_fraud
    assert account_log(redis_client, 1) == [(True, 1.0), (True, -1.0), (False, 1.0)]


@pytest.mark.parametrize("apart", [True, False])
def test_two_labels_of_one_payment_before_the_ledger_has_the_first_count_as_one_revision(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, runtime: BackgroundRuntime, apart: bool
) -> None:
    ledger.store([decided(1)])
    first, revision = label(1, known_at=NOON + DAY), label(1, is_fraud=False, known_at=NOON + 3 * DAY)
    older = replace(label(1, known_at=NOON + 2 * DAY), label_id="l-older")

    for one in (first, revision, older):
        if apart:
            gateway.record_label(one)
            record_label(take(redis_client, names.QUEUE_BACKGROUND))
        else:
            gateway.record_labels([one])
            work_off(redis_client)

    assert ledger.summary().labels == 0
    assert account_log(redis_client, 1) == [(True, 1.0), (True, -1.0), (False, 1.0)]
    assert 0 < redis_client.ttl(names.verdict_key("d-1")) <= MARKER_LIFETIME_S
    journal_drain(runtime).run(5)
    assert ledger.summary().labels == 3


def test_decisions_on_their_way_to_the_ledger_are_found_and_waited_for(
    gateway: Gateway, ledger: LateLedger, redis_client: Redis, runtime: BackgroundRuntime
) -> None:
    for number in (1, 2):
        on_its_way = decided(number)
        fields = {
            "d": msgspec.json.encode(on_its_way.decision),
            "r": msgspec.json.encode(on_its_way.record),
            "x": on_its_way.features,
        }
        redis_client.xadd(names.JOURNAL, fields)
    result = b"0" * 16 + msgspec.json.encode(decided(1).decision)
    redis_client.set(names.result_key("t-1"), result)

    assert refused(gateway, [label(1), label(2, decision_id="d-2")]) == {}
    work_off(redis_client)
    journal_drain(runtime).run(5)

    assert ledger.count_decisions() == 2
    assert ledger.summary().labelled_decisions == 2


def test_a_chunk_outlives_a_ledger_outage(
    gateway: Gateway, ledger: LateLedger, redis_client: Redis, runtime: BackgroundRuntime
) -> None:
    ledger.store([decided(1)])
    gateway.record_labels([label(1)])
    ledger.is_down = True

    work_off(redis_client)

    assert redis_client.zcard(names.INBOX_DUE) == 1
    assert redis_client.zcard(names.DEAD_LETTERS) == 0
    ledger.is_down = False
    let_time_pass(redis_client, 61)
    assert Reaper(redis_client, app(), runtime.settings).run() == 1
    work_off(redis_client)
    journal_drain(runtime).run(5)
    assert ledger.summary().labelled_decisions == 1


@pytest.mark.usefixtures("runtime")
def test_a_chunk_that_died_half_way_is_finished_without_repeating(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, runtime: BackgroundRuntime
) -> None:
    ledger.store([decided(number) for number in range(3)])
    gateway.record_labels([label(number) for number in range(3)])
    # The first label was recorded, then the worker died: its marker is there.
    recorded = label_entry(label(0), "d-0", "t-0")
    redis_client.set(names.label_marker_key(recorded.label_id), recorded.content_digest())

    work_off(redis_client)

    assert redis_client.xlen(names.JOURNAL) == 2
    assert account_log(redis_client, 0) == []
    assert account_log(redis_client, 1) == [(True, 1.0)]


def test_a_chunk_that_finds_the_broker_full_loses_no_label(
    gateway: Gateway, ledger: LateLedger, redis_client: Redis, runtime: BackgroundRuntime
) -> None:
    ledger.store([decided(number) for number in range(10)])
    gateway.record_labels([label(number) for number in range(10)])
    (entry_id,) = waiting(redis_client, names.QUEUE_BACKGROUND)
    ledger.meanwhile = lambda: redis_client.config_set("maxmemory", 1)

    with pytest.raises(OutOfMemoryError):
        record_labels(entry_id)

    del ledger.meanwhile
    redis_client.config_set("maxmemory", 0)
    assert redis_client.exists(names.inbox_key(entry_id))
    record_labels(entry_id)
    journal_drain(runtime).run(5)
    assert ledger.summary().labelled_decisions == 10
    assert not redis_client.exists(names.inbox_key(entry_id))


def test_what_a_chunk_can_record_is_recorded_and_the_rest_of_it_waits(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, runtime: BackgroundRuntime
) -> None:
    ledger.store([decided(1), decided(3)])
    redis_client.set(names.result_key("t-2"), b"0" * 16 + msgspec.json.encode(decided(2).decision))
    gateway.record_labels([label(number) for number in (1, 2, 3)])
    (entry_id,) = waiting(redis_client, names.QUEUE_BACKGROUND)

    work_off(redis_client)
    journal_drain(runtime).run(5)

    assert [len(ledger.labels_of(f"d-{number}")) for number in (1, 2, 3)] == [1, 0, 1]
    assert [one.label_id for one in entries_of(redis_client, entry_id)] == [label(2).label_id]
    ledger.store([decided(2)])
    record_labels(entry_id)
    journal_drain(runtime).run(5)
    assert ledger.summary().labels == 3
    assert not redis_client.exists(names.inbox_key(entry_id))


@pytest.mark.usefixtures("runtime")
def test_the_rest_of_a_chunk_that_cannot_come_any_more_is_given_up(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, settings: Settings
) -> None:
    ledger.store([decided(1)])
    redis_client.set(names.result_key("t-2"), b"0" * 16 + msgspec.json.encode(decided(2).decision))
    gateway.record_labels([label(1), label(2)])
    (entry_id,) = waiting(redis_client, names.QUEUE_BACKGROUND)
    long_ago = [msgspec.structs.replace(one, received_at_s=0.0) for one in entries_of(redis_client, entry_id)]
    redis_client.hset(names.inbox_key(entry_id), "payload", msgspec.json.encode(long_ago))

    for _ in range(settings.inbox_attempts):
        record_labels(entry_id)

    letter = DeadLetters(redis_client, app(), settings).find(entry_id)
    assert letter is not None
    assert letter.failure == "the decision about t-2 never came to the ledger"
    assert len(ledger.labels_of("d-1")) == 1


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_label_of_a_payment_sent_again_after_its_id_was_forgotten_is_about_the_decision_that_is_kept(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, runtime: BackgroundRuntime, is_alone: bool
) -> None:
    ledger.store([decided(1)])
    again = entry(1, decision_id="d-1-again", schema_digest=SCHEMA.digest)
    redis_client.set(names.result_key("t-1"), b"0" * 16 + msgspec.json.encode(again.decision))
    redis_client.xadd(
        names.JOURNAL,
        {"d": msgspec.json.encode(again.decision), "r": msgspec.json.encode(again.record), "x": again.features},
    )

    if is_alone:
        gateway.record_label(label(1))
        record_label(take(redis_client, names.QUEUE_BACKGROUND))
    else:
        gateway.record_labels([label(1, decision_id="d-1-again")])
        work_off(redis_client)
    journal_drain(runtime).run(5)

    assert len(ledger.labels_of("d-1")) == 1
    assert redis_client.zcard(names.INBOX_DUE) == 0


@pytest.mark.parametrize("is_alone", [True, False])
def test_what_a_label_id_said_is_known_for_as_long_as_the_ledger_has_it(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, runtime: BackgroundRuntime, is_alone: bool
) -> None:
    ledger.store([decided(1)])
    said = label(1)

    def send(one: Label) -> None:
        redis_client.delete(names.label_marker_key(said.label_id), names.verdict_key("d-1"))  # a week goes by
        if is_alone:
            gateway.record_label(one)
            record_label(take(redis_client, names.QUEUE_BACKGROUND))
        else:
            gateway.record_labels([one])
            work_off(redis_client)
        journal_drain(runtime).run(5)

    send(said)
    send(replace(said, known_at=NOON + 10 * DAY))
    assert account_log(redis_client, 1) == [(True, 1.0)]
    redis_client.delete(names.label_marker_key(said.label_id))
    if is_alone:
        with pytest.raises(LabelConflict):
            gateway.record_label(replace(said, is_fraud=False))
    else:
        assert refused(gateway, [replace(said, is_fraud=False)]) == {0: "label_conflict"}
    assert redis_client.xlen(names.JOURNAL) == 0


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_label_that_the_web_side_could_not_compare_changes_no_history(
    gateway: Gateway, ledger: LateLedger, redis_client: Redis, is_alone: bool, runtime: BackgroundRuntime
) -> None:
    ledger.store([decided(1)])
    said = label(1)
    gateway.record_labels([said])
    work_off(redis_client)
    journal_drain(runtime).run(5)
    redis_client.delete(names.label_marker_key(said.label_id), names.verdict_key("d-1"))
    redis_client.set(names.result_key("t-1"), b"0" * 16 + msgspec.json.encode(decided(1).decision))
    other = replace(said, is_fraud=False, known_at=NOON + 10 * DAY)

    ledger.forgets_labels = True
    if is_alone:
        gateway.record_label(other)
        work = record_label
    else:
        assert refused(gateway, [other]) == {}
        work = record_labels
    ledger.forgets_labels = False
    with capture_logs() as logged:
        work(take(redis_client, names.QUEUE_BACKGROUND))

    assert [line["event"] for line in logged] == ["label_conflict"]
    assert account_log(redis_client, 1) == [(True, 1.0)]
    assert redis_client.xlen(names.JOURNAL) == 0
    assert redis_client.zcard(names.INBOX_DUE) == 0


@pytest.mark.usefixtures("runtime")
def test_a_chunk_that_was_given_up_is_shown_without_its_values(
    gateway: Gateway, ledger: Ledger, redis_client: Redis, settings: Settings
) -> None:
    ledger.store([decided(1)])
    gateway.record_labels([label(1)])
    (entry_id,) = waiting(redis_client, names.QUEUE_BACKGROUND)
    claim = register(redis_client, "claim")
    for _ in range(settings.inbox_attempts + 1):
        claim(
            keys=[names.inbox_key(entry_id), names.INBOX_DUE, names.DEAD_LETTERS],
            args=[entry_id, settings.inbox_attempts, 1],
        )

    letter = DeadLetters(redis_client, app(), settings).find(entry_id)

    assert letter is not None
    assert letter.kind == "labels"
    content = letter.content([field.name for field in SCHEMA.fields])
    assert content["labels"][0]["decision_id"] == "d-1"
    assert types_of(content) == {"labels": "array"}
