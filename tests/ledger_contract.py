"""What every database must do for the ledger: one set of tests, run on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
import multiprocessing
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from config.contracts import Decision, JournalEntry, JournalRecord, Reason, ShadowScore
from config.schema.model import Field, Roles, Schema
from ml.drift.report import DriftReport
from ml.ledger import DecisionFilter, LabelRecord, Ledger, ModelEvent
from ml.ledger.drift_reports import StoredDriftReport
from ml.ledger.engine import open_engine
from ml.ledger.history import LabelArrival
from ml.ledger.records import Deleted, EntriesRefused
from ml.ledger.tables import metadata

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SCHEMA = Schema(
    name="payment",
    version=1,
    fields=(
        Field("amount", "number", min=0),
        Field("account_id", "id", model=False, required=False),
        Field("merchant_id", "id", model=False, required=False),
    ),
    roles=Roles(amount="amount", entities=(("account", "account_id"), ("merchant", "merchant_id"))),
    digest="s" * 64,
)


def entry(number: int = 1, **changes: Any) -> JournalEntry:
    """The journal entry of transaction `t-<number>`, scored `number` minutes after noon, with `changes`."""
    at = NOON + timedelta(minutes=number)
    decision = {
        "decision_id": f"d-{number}",
        "transaction_id": f"t-{number}",
        "fraud_probability": 0.25,
        "is_fraud": False,
        "risk_score": 25,
        "risk_level": "medium",
        "action": "approve",
        "reasons": [Reason("AMOUNT_HIGH", "amount", "raises", 1.5, "much")],
        "model_version": "m-1",
        "scored_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    record = {
        "sequence": number,
        "digest": f"{number:016x}",
        "schema_digest": SCHEMA.digest,
        "received_ms": round(at.timestamp() * 1000) - 7,
        "event_at_s": at.timestamp() - 0.1,
        "amount": 1500.0,
        "values": [1500.0, f"account-{number % 2}", None],
        "derived": {"hour": 3},
        "model_digest": "b" * 64,
        "client": "shop",
    }
    for name, value in changes.items():
        (decision if name in decision or name == "degraded" else record)[name] = value
    return JournalEntry(Decision(**decision), JournalRecord(**record), struct.pack("<3d", 1500.0, 3, math.nan))


def label(number: int = 1, **changes: Any) -> LabelRecord:
    """A chargeback of decision `d-<number>`, known a week later."""
    fields: dict[str, Any] = {
        "label_id": f"l-{number}",
        "decision_id": f"d-{number}",
        "is_fraud": True,
        "source": "chargeback",
        "known_at": NOON + timedelta(days=7),
        "received_at": NOON + timedelta(days=8),
        "sequence": 1000 + number,
    }
    return LabelRecord(**(fields | changes))


def _migrate(database_url: str) -> None:
    ledger = Ledger(database_url)
    ledger.migrate()
    ledger.close()


def _store_same_entries(database_url: str, new: Any) -> None:
    ledger = Ledger(database_url)
    for start in range(0, 200, 20):
        stored = ledger.store([entry(number) for number in range(start, start + 20)])
        with new.get_lock():
            new.value += stored
    ledger.close()


def run_at_once(target: Callable[..., None], *arguments: Any, processes: int = 3) -> list[int | None]:
    """Run `target` in that many new processes at the same time; their exit codes."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=target, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return [worker.exitcode for worker in workers]


class MigrationContract:
    """Tests of an empty database; a subclass provides the fixture `empty_url`."""

    def test_migrated_tables_are_those_of_the_metadata(self, empty_url: str) -> None:
        _migrate(empty_url)
        engine = open_engine(empty_url)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
        engine.dispose()

    def test_migrating_again_keeps_what_is_stored(self, empty_url: str) -> None:
        ledger = Ledger(empty_url)
        ledger.migrate()
        ledger.store([entry()])
        ledger.migrate()
        assert ledger.count_decisions() == 1
        ledger.close()

    def test_three_processes_may_migrate_at_once(self, empty_url: str) -> None:
        assert run_at_once(_migrate, empty_url) == [0, 0, 0]
        ledger = Ledger(empty_url)
        assert ledger.count_decisions() == 0
        ledger.close()

    def test_each_transaction_is_new_in_exactly_one_of_three_processes(self, empty_url: str) -> None:
        _migrate(empty_url)
        new = multiprocessing.get_context("spawn").Value("i", 0)
        assert run_at_once(_store_same_entries, empty_url, new) == [0, 0, 0]
        ledger = Ledger(empty_url)
        assert (new.value, ledger.count_decisions()) == (200, 200)
        ledger.close()


class LedgerContract:
    """Tests of a migrated, empty ledger made with SCHEMA; a subclass provides the fixture `ledger`."""

    def test_a_stored_decision_comes_back_equal_by_each_of_its_names(self, ledger: Ledger) -> None:
        first = entry(1)
        assert ledger.store([first, entry(2)]) == 2
        found = ledger.decision_by_transaction("t-1")
        assert found is not None
        assert (found.decision, found.record, found.features) == (
            first.decision,
            first.record,
            first.features,
        )
        assert found.scored_at == NOON + timedelta(minutes=1)
        assert found.event_at == found.scored_at - timedelta(milliseconds=100)
        assert ledger.decision_by_id("d-1") == found
        assert ledger.decision_by_digest(first.record.digest) == found

    def test_an_unknown_name_finds_nothing(self, ledger: Ledger) -> None:
        ledger.store([entry(1)])
        assert ledger.decision_by_transaction("d-1") is None
        assert ledger.decision_by_id("t-1") is None
        assert ledger.decision_by_digest("") is None

    @pytest.mark.parametrize(
        "value", [None, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, 2**53, -0.0, True, "é\u0000\U0001f4b3", ""]
    )
    def test_every_value_comes_back_bit_for_bit(self, ledger: Ledger, value: object) -> None:
        ledger.store([entry(1, values=[value], derived={"x": value}, event_at_s=1772366460.1234567)])
        found = ledger.decision_by_transaction("t-1")
        assert found is not None
        assert msgspec.json.encode(found.record.values) == msgspec.json.encode([value])
        assert found.record.derived == {"x": value}
        assert found.record.event_at_s == 1772366460.1234567

    @pytest.mark.parametrize("event_at_s", [0.0, 17.0, -86400.5, 1e18, -1e18])
    def test_event_times_that_are_mere_counters_are_kept_exactly(self, ledger: Ledger, event_at_s: float) -> None:
        ledger.store([entry(1, event_at_s=event_at_s)])
        found = ledger.decision_by_transaction("t-1")
        assert found is not None
        assert found.record.event_at_s == event_at_s

    def test_first_writer_of_a_transaction_wins(self, ledger: Ledger) -> None:
        ledger.store([entry(1)])
        late = entry(1, decision_id="d-late", action="decline", values=[9.0, "account-7", None])
        assert ledger.store([late, entry(2)]) == 1
        found = ledger.decision_by_transaction("t-1")
        assert found is not None
        assert found.decision == entry(1).decision
        assert ledger.decision_by_id("d-late") is None
        assert ledger.history_of("account", "account-7") == []

    def test_storing_a_batch_again_changes_nothing(self, ledger: Ledger) -> None:
        batch = [entry(number) for number in range(40)]
        assert ledger.store(batch) == 40
        assert ledger.store(batch + batch) == 0
        assert ledger.count_decisions() == 40

    def test_a_transaction_twice_in_one_batch_is_stored_once(self, ledger: Ledger) -> None:
        assert ledger.store([entry(1), entry(2), entry(1, decision_id="d-other")]) == 2
        assert ledger.decision_by_id("d-other") is None

    def test_one_refused_row_does_not_take_its_neighbours_along(self, ledger: Ledger) -> None:
        clash = entry(2, decision_id="d-1")
        with pytest.raises(EntriesRefused, match="t-2") as refusal:
            ledger.store([entry(1), clash, entry(3)])
        assert [refused for refused, _ in refusal.value.refused] == [clash]
        assert refusal.value.stored == 2
        assert ledger.decision_by_transaction("t-3") is not None

    def test_nothing_to_store_is_nothing_new(self, ledger: Ledger) -> None:
        assert ledger.store([]) == 0
        assert ledger.store_labels([]) == 0

    def test_same_content_finds_the_latest_decision(self, ledger: Ledger) -> None:
        same = "c" * 16
        ledger.store([entry(5, digest=same), entry(9, digest=same), entry(7, digest=same)])
        found = ledger.decision_by_digest(same)
        assert found is not None
        assert found.decision.decision_id == "d-9"

    def test_the_label_known_last_counts_and_all_are_kept(self, ledger: Ledger) -> None:
        ledger.store([entry(1)])
        ledger.store_label(label(1, label_id="first", known_at=NOON + timedelta(days=2), is_fraud=True))
        ledger.store_label(label(1, label_id="third", known_at=NOON + timedelta(days=9), is_fraud=False))
        ledger.store_label(label(1, label_id="second", known_at=NOON + timedelta(days=5), is_fraud=True))
        found = ledger.decision_by_id("d-1")
        assert found is not None
        assert found.label is not None
        assert found.label.label_id == "third"
        assert [stored.label.label_id for stored in ledger.labels_of("d-1")] == ["first", "second", "third"]

    def test_of_two_labels_known_at_once_the_one_received_last_counts(self, ledger: Ledger) -> None:
        ledger.store([entry(1)])
        ledger.store_labels([label(1, label_id="before"), label(1, label_id="after", is_fraud=False)])
        found = ledger.decision_by_id("d-1")
        assert found is not None
        assert found.label is not None
        assert found.label.label_id == "after"

    def test_a_label_sent_twice_is_stored_once(self, ledger: Ledger) -> None:
        assert ledger.store_label(label(1))
        assert not ledger.store_label(label(1, is_fraud=False))
        assert [stored.label.is_fraud for stored in ledger.labels_of("d-1")] == [True]

    def test_a_label_may_arrive_before_its_decision(self, ledger: Ledger) -> None:
        ledger.store_label(label(1))
        ledger.store([entry(1)])
        found = ledger.decision_by_id("d-1")
        assert found is not None
        assert found.label == label(1)

    def test_a_label_without_decision_keeps_what_was_labelled(self, ledger: Ledger) -> None:
        alone = label(1, decision_id=None, digest="f" * 16, schema_digest=SCHEMA.digest, values=[1500.0, None, None])
        ledger.store_label(alone)
        assert [stored.label for stored in ledger.labels_without_decision("f" * 16)] == [alone]
        assert ledger.summary().labels_without_decision == 1

    def test_times_from_other_zones_come_back_as_the_same_moment_in_utc(self, ledger: Ledger) -> None:
        somewhere = timezone(timedelta(hours=5, minutes=30))
        known_at = datetime(2026, 3, 8, 1, 2, 3, 4, tzinfo=somewhere)
        ledger.store_label(label(1, known_at=known_at))
        stored = ledger.labels_of("d-1")[0].label.known_at
        assert stored == known_at
        assert stored.utcoffset() == timedelta(0)

    def test_pages_go_back_through_all_decisions_newest_first(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in range(1, 8)])
        pages, before = [], None
        while page := ledger.latest_decisions(3, before):
            pages.append([stored.decision.transaction_id for stored in page])
            before = page[-1].id
        assert pages == [["t-7", "t-6", "t-5"], ["t-4", "t-3", "t-2"], ["t-1"]]

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (DecisionFilter(action="decline"), ["t-2"]),
            (DecisionFilter(is_fraud=True), ["t-2"]),
            (DecisionFilter(is_fraud=False), ["t-3", "t-1"]),
            (DecisionFilter(degraded=True), ["t-3"]),
            (DecisionFilter(model_version="m-2"), ["t-3"]),
            (DecisionFilter(min_probability=0.5), ["t-2"]),
            (DecisionFilter(since=NOON + timedelta(minutes=2)), ["t-3", "t-2"]),
            (DecisionFilter(until=NOON + timedelta(minutes=2)), ["t-1"]),
            (DecisionFilter(labelled=True), ["t-1"]),
            (DecisionFilter(labelled=False), ["t-3", "t-2"]),
            (DecisionFilter(entity="account", value="account-1"), ["t-3", "t-1"]),
            (DecisionFilter(entity="account", value="account-1", degraded=False), ["t-1"]),
        ],
    )
    def test_a_page_holds_what_fulfils_every_condition(
        self, ledger: Ledger, wanted: DecisionFilter, found: list[str]
    ) -> None:
        fraud = entry(2, action="decline", is_fraud=True, fraud_probability=0.75)
        ledger.store([entry(1), fraud, entry(3, degraded=True, model_version="m-2")])
        ledger.store_label(label(1))
        page = ledger.latest_decisions(filters=wanted)
        assert [stored.decision.transaction_id for stored in page] == found

    def test_the_history_of_an_account_is_told_latest_event_first(self, ledger: Ledger) -> None:
        ledger.store([entry(1), entry(5), entry(2), entry(3)])
        history = ledger.history_of("account", "account-1")
        assert [stored.decision.transaction_id for stored in history] == ["t-5", "t-3", "t-1"]
        earlier = ledger.history_of("account", "account-1", before=history[0].event_at, limit=1)
        assert [stored.decision.transaction_id for stored in earlier] == ["t-3"]
        assert ledger.history_of("merchant", "account-1") == []

    def test_the_summary_counts_what_was_decided_and_how_right_it_was(self, ledger: Ledger) -> None:
        verdicts = {1: (True, True), 2: (True, False), 3: (False, False), 4: (False, True), 5: (True, True)}
        ledger.store([entry(n, is_fraud=said, action="decline" if said else "approve")
                      for n, (said, _) in verdicts.items()] + [entry(6, degraded=True)])  # fmt: skip
        ledger.store_labels([label(n, is_fraud=was) for n, (_, was) in verdicts.items()])
        summary = ledger.summary()
        assert summary.by_action == {"approve": 3, "decline": 3}
        assert (summary.decisions, summary.flagged, summary.degraded) == (6, 3, 1)
        assert (summary.labels, summary.labelled_decisions) == (5, 5)
        assert (summary.accuracy, summary.precision, summary.recall) == (3 / 5, 2 / 3, 2 / 3)
        assert summary.fraud_rate == 3 / 5
        assert summary.flagged_share == 1 / 2

    def test_the_summary_of_an_empty_ledger_has_no_rates(self, ledger: Ledger) -> None:
        summary = ledger.summary(NOON)
        assert (summary.decisions, summary.labels) == (0, 0)
        assert (summary.accuracy, summary.precision, summary.recall, summary.fraud_rate) == (None,) * 4

    def test_the_summary_leaves_out_what_was_scored_before(self, ledger: Ledger) -> None:
        ledger.store([entry(1), entry(2, model_version="m-2")])
        ledger.store_labels([label(1), label(2)])
        summary = ledger.summary(NOON + timedelta(minutes=2))
        assert summary.by_model_version == {"m-2": 1}
        assert summary.labelled_decisions == 1

    def test_replay_follows_the_order_of_arrival_over_chunks(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ml.ledger.replay.CHUNK_ROWS", 2)
        ledger.store([entry(n, sequence=s) for n, s in ((1, 40), (2, 10), (3, 10), (4, 25), (5, 10))])
        ledger.store_labels([label(1, sequence=41), label(2, sequence=11)])
        told = [getattr(item, "decision", getattr(item, "label", None)) for item in ledger.replay_stream()]
        names = [getattr(what, "label_id", None) or what.transaction_id for what in told]
        assert names == ["t-2", "t-3", "t-5", "l-2", "t-4", "t-1", "l-1"]
        assert [item.sequence for item in ledger.replay_stream(after_sequence=25)] == [40, 41]

    def test_history_tells_each_label_with_the_one_that_counted_until_then(self, ledger: Ledger) -> None:
        ledger.store([entry(1), entry(2, sequence=4)])
        ledger.store_labels(
            [
                label(1, sequence=2, is_fraud=True),
                label(2, sequence=3, decision_id="d-1", is_fraud=False, known_at=NOON + timedelta(days=2)),
                label(3, sequence=5, decision_id="d-1", is_fraud=False, known_at=NOON + timedelta(days=9)),
                label(4, sequence=6, decision_id=None, digest="0" * 16, values=[1.0, None, None]),
            ]
        )

        found = list(ledger.replay_history())

        known_s = (NOON + timedelta(days=7)).timestamp()
        assert [item.sequence for item in found] == [1, 2, 3, 4, 5]
        arrivals = [item for item in found if isinstance(item, LabelArrival)]
        assert [item.earlier for item in arrivals] == [None, (known_s, True), (known_s, True)]
        assert {tuple(item.values) for item in arrivals} == {tuple(entry(1).record.values)}
        assert arrivals[0].known_at_s == known_s

    def test_the_past_of_an_entity_ends_before_a_sequence_number(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in range(1, 8)])
        ledger.store_labels([label(number, decision_id=f"d-{number}", sequence=10 + number) for number in (1, 3, 4)])

        events = ledger.decisions_of_entity("account", "account-1", before=7, limit=2)
        labels = ledger.labels_of_entity("account", "account-1", before=14, limit=2)

        assert [stored.sequence for stored in events] == [3, 5]
        assert [arrival.sequence for arrival in labels] == [11, 13]
        assert ledger.labels_of_entity("account", "account-1", before=11, limit=2) == []

    def test_gaps_in_the_sequence_are_counted_over_decisions_and_labels(self, ledger: Ledger) -> None:
        assert (ledger.first_sequence(), ledger.missing_sequences()) == (0, 0)
        ledger.store([entry(1, sequence=0), entry(2, sequence=3), entry(3, sequence=7)])
        ledger.store_labels([label(1, sequence=5), label(2, sequence=9)])

        assert (ledger.first_sequence(), ledger.missing_sequences()) == (3, 3)

    def test_what_one_bundle_served_is_read_in_pages_and_thinned(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ml.ledger.served.PAGE_ROWS", 2)
        ledger.store([entry(number, model_digest="old" if number == 2 else "new") for number in range(1, 8)])
        since, until = NOON + timedelta(minutes=1), NOON + timedelta(minutes=7)

        first = ledger.served_rows("new", since, until)
        second = ledger.served_rows("new", since, until, after=first[-1].id)
        thinned = ledger.served_rows("new", since, until, step=3)

        assert ledger.count_served(since, until) == {"new": 5, "old": 1}
        assert [row.event_time_s for row in first + second] == [
            entry(number).record.event_at_s for number in (1, 3, 4, 5)
        ]
        assert (first[0].features, first[0].values) == (entry(1).features, entry(1).record.values)
        assert all(row.id % 3 == 0 for row in thinned)
        assert 1 <= len(thinned) <= 2

    def test_what_another_model_said_is_kept_beside_the_decision_and_of_the_first_writer_only(
        self, ledger: Ledger
    ) -> None:
        shadow = ShadowScore("m-2", "c" * 64, 0.25)
        ledger.store([entry(1, shadow=shadow), entry(2)])
        ledger.store([entry(1, decision_id="d-late", shadow=ShadowScore("m-2", "c" * 64, 0.75))])

        assert ledger.shadow_scores("c" * 64) == {"t-1": 0.25}
        assert ledger.shadow_scores("b" * 64) == {}
        ledger.delete_before(NOON + timedelta(days=1), unlabelled_before=NOON + timedelta(days=1))
        assert ledger.shadow_scores("c" * 64) == {}

    def test_drift_reports_come_back_newest_first_until_they_are_forgotten(self, ledger: Ledger) -> None:
        report = DriftReport(
            status="stable", detail="", model_version="m-1", model_digest="b", since="s", until="u", rows=7
        )
        ids = [
            ledger.store_drift_report(report, now=NOON + timedelta(hours=hour), has_asked=hour == 1)
            for hour in range(3)
        ]

        found = ledger.drift_reports(2)

        assert [stored.id for stored in found] == ids[:0:-1]
        assert [stored.has_asked for stored in found] == [False, True]
        assert found[0].created_at == NOON + timedelta(hours=2)
        assert ledger.drift_report(ids[0]) == StoredDriftReport(ids[0], NOON, False, report)
        assert ledger.drift_report(ids[2] + 1) is None
        assert ledger.forget_drift_reports(keep=1) == ids[1::-1]
        assert ledger.forget_drift_reports(keep=1) == []
        assert [stored.id for stored in ledger.drift_reports()] == ids[2:]

    def test_the_audit_trail_of_models_is_told_newest_first(self, ledger: Ledger) -> None:
        first, second = (
            ModelEvent(at=NOON + timedelta(days=day), actor="beat", action=action, from_version="m-1", to_version="m-2",
                       reasons=["gain: 0.02", "é"])
            for day, action in ((0, "kept_shadowing"), (1, "promoted"))
        )  # fmt: skip
        ledger.record_model_event(first)
        ledger.record_model_event(second)
        assert ledger.model_events() == [second, first]
        assert ledger.model_events(limit=1) == [second]

    def test_an_event_without_a_time_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            ModelEvent(at=NOON.replace(tzinfo=None), actor="a", action="promoted", from_version=None, to_version="m",
                       reasons=[])  # fmt: skip

    def test_field_names_are_kept_beside_the_values(self, ledger: Ledger) -> None:
        ledger.store([entry(1)])
        assert ledger.field_names(SCHEMA.digest) == ("amount", "account_id", "merchant_id")
        assert ledger.field_names("other") is None

    def test_rows_are_read_on_in_the_order_of_their_arrival(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in (3, 1, 2)])
        first = ledger.decided_after(0, limit=2)
        assert [(row.transaction_id, row.digest) for row in first] == [("t-3", f"{3:016x}"), ("t-1", f"{1:016x}")]
        assert first[0].scored_at == NOON + timedelta(minutes=3)
        assert [row.transaction_id for row in ledger.decided_after(first[-1].id, limit=2)] == ["t-2"]

    def test_an_entry_whose_transaction_has_another_decision_is_overtaken(self, ledger: Ledger) -> None:
        ledger.store([entry(1)])
        late = entry(1, decision_id="d-late")
        ledger.store([late, entry(2)])
        assert ledger.count_overtaken([entry(1), late, entry(2)]) == 1

    def test_old_decisions_leave_with_their_entities_and_labels(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in (1, 2, 3)])
        ledger.store_labels([label(1), label(1, label_id="again"), label(3)])
        cut = NOON + timedelta(minutes=3)
        assert ledger.delete_before(cut, unlabelled_before=cut) == Deleted(decisions=2, labels=2)
        assert [row.transaction_id for row in ledger.decided_after(0, limit=9)] == ["t-3"]
        assert [stored.decision.transaction_id for stored in ledger.history_of("account", "account-1")] == ["t-3"]
        assert ledger.history_of("account", "account-0") == []
        assert ledger.labels_of("d-1") == []
        assert len(ledger.labels_of("d-3")) == 1
        assert ledger.delete_before(cut, unlabelled_before=cut) == Deleted(decisions=0, labels=0)

    def test_an_id_is_free_again_once_its_decision_was_deleted(self, ledger: Ledger) -> None:
        ledger.store([entry(1)])
        ledger.delete_before(NOON + timedelta(days=1), unlabelled_before=NOON + timedelta(days=1))
        assert ledger.store([entry(1, decision_id="d-new")]) == 1
        assert len(ledger.history_of("account", "account-1")) == 1

    def test_a_decision_whose_label_may_still_come_stays(self, ledger: Ledger) -> None:
        ledger.store([entry(1), entry(2)])
        ledger.store_label(label(1))
        deleted = ledger.delete_before(NOON + timedelta(days=1), unlabelled_before=NOON)
        assert deleted == Deleted(decisions=1, labels=1)
        assert ledger.decision_by_transaction("t-2") is not None

    def test_a_deletion_takes_no_more_than_its_slice(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in range(7)])
        cut = NOON + timedelta(days=1)
        taken = [ledger.delete_before(cut, unlabelled_before=cut, limit=3).decisions for _ in range(4)]
        assert taken == [3, 3, 1, 0]

    def test_old_labels_without_a_decision_are_deleted_too(self, ledger: Ledger) -> None:
        alone = label(1, decision_id=None, digest="f" * 16, schema_digest=SCHEMA.digest, values=[1500.0, None, None])
        ledger.store_labels([alone, label(2, received_at=NOON + timedelta(days=30))])
        cut = NOON + timedelta(days=20)
        assert ledger.delete_before(cut, unlabelled_before=cut) == Deleted(decisions=0, labels=1)
        assert ledger.labels_without_decision("f" * 16) == []
        assert len(ledger.labels_of("d-2")) == 1

    def test_entities_of_an_earlier_schema_are_still_found(self, ledger: Ledger, url: str) -> None:
        ledger.store([entry(1)])
        successor = Ledger(url, schema=replace(SCHEMA, digest="n" * 64, roles=Roles()))
        successor.store([entry(3)])
        assert len(successor.history_of("account", "account-1")) == 2
        successor.close()
