"""What every database must do with labels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from config.contracts import LabelEntry
from ml.ledger import Ledger
from ml.ledger.judged import RowIds
from ml.ledger.settled import Horizon
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

    def test_what_stored_labels_say_is_told_as_their_entries_say_it(self, ledger: Ledger) -> None:
        said = LabelEntry("l-1", True, "chargeback", 1.0, 2.0, "d-1", "t-1", digest="f" * 16)
        ledger.store_label(label(1, transaction_id="t-1", digest="f" * 16))
        assert ledger.label_digests(["l-1", "l-2"]) == {"l-1": said.content_digest()}
        assert ledger.label_digests([]) == {}

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

    def test_what_settles_between_two_looks_is_read_once(self, ledger: Ledger) -> None:
        ledger.store([entry(1), entry(2), entry(3, degraded=True), entry(4, schema_digest="another"), entry(30)])
        first = Horizon(RowIds(0, 0), datetime(1, 1, 1, tzinfo=UTC))
        seen = Horizon(ledger.newest_ids(), NOON + timedelta(minutes=1))

        def settling(last: Horizon, now: Horizon) -> list[tuple[str, bool | None, bool]]:
            assert ledger.next_horizon(last, now, schema_digest=SCHEMA.digest) == now
            rows = ledger.settling_between(last, now, schema_digest=SCHEMA.digest)
            return [(row.decision_id, row.label_at(now), row.is_matured_at(now)) for row in rows]

        assert settling(first, seen) == [("d-1", None, True)]
        ledger.store_labels([label(1), label(30)])
        labelled = Horizon(ledger.newest_ids(), seen.matured_until)
        assert settling(seen, labelled) == [("d-1", True, True), ("d-30", True, False)]
        matured = Horizon(labelled.ids, NOON + timedelta(minutes=2))
        assert settling(labelled, matured) == [("d-2", None, True)]
        assert settling(matured, matured) == []
