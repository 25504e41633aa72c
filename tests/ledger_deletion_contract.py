"""What every database must do when old decisions leave."""

from __future__ import annotations

from datetime import timedelta

from ml.ledger import Ledger
from ml.ledger.records import Deleted
from tests.ledger_entries import NOON, SCHEMA, entry, label


class DeletionContract:
    """What is deleted, what stays, and what was overtaken."""

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
