"""What every database must do with labels."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from ml.ledger import Ledger
from tests.ledger_entries import NOON, SCHEMA, entry, label


class LabelContract:
    """Which label of a decision counts, and what becomes of one without a decision."""

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
