"""What every database must do for the ledger: one set of tests, run on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import event, text

from config.contracts import ShadowScore
from config.schema.model import Roles
from ml.drift.report import DriftReport
from ml.ledger import Ledger, ModelEvent
from ml.ledger.drift_reports import StoredDriftReport
from ml.ledger.engine import writing
from ml.ledger.pulse import LedgerPulse
from ml.ledger.records import EntriesRefused
from tests.ledger_audit_contract import AuditContract
from tests.ledger_deletion_contract import DeletionContract
from tests.ledger_entries import NOON, SCHEMA, entry, label
from tests.ledger_forgetting_contract import ForgettingContract
from tests.ledger_key_contract import KeyContract
from tests.ledger_label_contract import LabelContract
from tests.ledger_reading_contract import ReadingContract, ReplayContract
from tests.ledger_tenants_contract import TenantsContract


class LedgerContract(
    KeyContract,
    ForgettingContract,
    AuditContract,
    LabelContract,
    ReadingContract,
    ReplayContract,
    DeletionContract,
    TenantsContract,
):
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

    def test_content_is_found_by_its_index_however_many_rows_are_between(self, ledger: Ledger) -> None:
        ledger.store([entry(1, digest="a" * 16), entry(2, digest="b" * 16), entry(3, digest="c" * 16)])
        with writing(ledger._engine) as connection:
            connection.execute(text("UPDATE decisions SET id = id + 200000 WHERE transaction_id = 't-2'"))
            connection.execute(text("UPDATE decisions SET id = id + 400000 WHERE transaction_id = 't-3'"))
        statements: list[tuple[str, Any]] = []
        event.listen(ledger._engine, "before_cursor_execute", lambda *call: statements.append(call[2:4]))

        found = [ledger.decision_by_digest(letter * 16) for letter in "abcd"]

        assert [one and one.decision.transaction_id for one in found] == ["t-1", "t-2", "t-3", None]
        query, values = statements[-1]
        with writing(ledger._engine) as connection:
            if connection.dialect.name == "sqlite":
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
            else:
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                plan = connection.exec_driver_sql(f"EXPLAIN {query}", values).all()
        assert "ix_decisions_block_digest" in str(plan)

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

    def test_its_pulse_is_the_newest_verdicts_and_when_the_last_label_came(self, ledger: Ledger) -> None:
        assert ledger.pulse() == LedgerPulse()
        assert ledger.pulse().fraud_rate == 0
        ledger.store([entry(n, is_fraud=n == 1) for n in (1, 2, 3, 4)])
        ledger.store_labels([label(1, received_at=NOON + timedelta(days=2)), label(2, received_at=NOON)])
        assert ledger.pulse() == LedgerPulse(4, 1, NOON + timedelta(days=2))
        assert ledger.pulse().fraud_rate == 1 / 4

    def test_the_summary_leaves_out_what_was_scored_before(self, ledger: Ledger) -> None:
        ledger.store([entry(1), entry(2, model_version="m-2")])
        ledger.store_labels([label(1), label(2)])
        summary = ledger.summary(NOON + timedelta(minutes=2))
        assert summary.by_model_version == {"m-2": 1}
        assert summary.labelled_decisions == 1

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

    def test_entities_of_an_earlier_schema_are_still_found(self, ledger: Ledger, url: str) -> None:
        ledger.store([entry(1)])
        successor = Ledger(url, schema=replace(SCHEMA, digest="n" * 64, roles=Roles()))
        successor.store([entry(3)])
        assert len(successor.history_of("account", "account-1")) == 2
        successor.close()
