"""What every database must do for the chain: whoever changes, removes, adds or moves a row by SQL is found out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ml.ledger import Ledger, ModelEvent
from ml.ledger.audit import chain
from ml.ledger.audit.book import SETTLING
from ml.ledger.audit.verify import Verification
from ml.ledger.engine import reading, writing
from tests.ledger_entries import NOON, SCHEMA, entry, label

PROMOTED = ModelEvent(
    at=NOON, actor="operator:ann", action="promoted", from_version=None, to_version="m-1", reasons=["better"]
)


def sealed(ledger: Ledger, count: int = 8) -> None:
    """A ledger with this many decisions and two operators' actions, all in the chain."""
    ledger.store([entry(number) for number in range(1, count + 1)])
    ledger.record_model_event(PROMOTED)
    ledger.record_model_event(PROMOTED)
    seal_all(ledger)


def seal_all(ledger: Ledger) -> None:
    """As housekeeping does once everything has settled."""
    for subject in SETTLING:
        while ledger.audit.seal(subject, until=ledger.audit.newest_row(subject), now=NOON):
            pass


def tamper(ledger: Ledger, *statements: str) -> None:
    """As somebody with the database's password would."""
    with writing(ledger._engine) as connection:
        for statement in statements:
            connection.execute(text(statement))


def row_of(ledger: Ledger, number: int) -> int:
    found = ledger.decision_by_transaction(f"t-{number}")
    assert found is not None
    return found.id


def label_row(ledger: Ledger, number: int) -> int:
    with reading(ledger._engine) as connection:
        query = text("SELECT id FROM labels WHERE label_id = :label_id")
        return int(connection.execute(query, {"label_id": label(number).label_id}).scalar_one())


def verified(ledger: Ledger, *, days_kept: float | None = None, head: str | None = None) -> Verification:
    since = None if days_kept is None else NOON + timedelta(days=30 - days_kept)
    *_, last = ledger.audit.verify(retained_since=since, head=head)
    return last


def named(found: Verification) -> list[tuple[str, int, str]]:
    return [(one.subject, one.row, one.what) for one in found.findings]


class AuditContract:
    """The chain: whole as long as only the ledger writes, and broken at the very row that something else touched."""

    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ml.ledger.audit.book.BLOCK_ROWS", 3)

    def test_an_untouched_ledger_is_whole_and_what_is_new_is_counted(self, ledger: Ledger) -> None:
        sealed(ledger)
        ledger.store([entry(20)])
        found = verified(ledger)
        assert found.is_whole
        assert (found.blocks, found.rows, found.not_sealed) == (5, 10, 1)

    @pytest.mark.parametrize(
        "change",
        [
            "fraud_probability = 0.2500000001",
            "action = 'decline'",
            "amount = NULL",
            "sent_values = '[1500.0, \"account-9\", null]'",
            "scored_at = (SELECT min(scored_at) FROM decisions)",
            "sequence = 77",
        ],
    )
    def test_a_changed_decision_is_named(self, ledger: Ledger, change: str) -> None:
        sealed(ledger)
        row = row_of(ledger, 5)
        tamper(ledger, f"UPDATE decisions SET {change} WHERE id = {row}")
        assert named(verified(ledger)) == [("decisions", row, "was changed")]

    def test_a_deleted_decision_is_named(self, ledger: Ledger) -> None:
        sealed(ledger)
        row = row_of(ledger, 4)
        tamper(ledger, f"DELETE FROM decisions WHERE id = {row}")
        assert named(verified(ledger)) == [("decisions", row, "was deleted")]

    def test_two_decisions_that_changed_places_are_named(self, ledger: Ledger) -> None:
        sealed(ledger)
        first, second = row_of(ledger, 2), row_of(ledger, 7)
        moves = ((first, 10**6), (second, first), (10**6, second))
        tamper(ledger, *(f"UPDATE decisions SET id = {to} WHERE id = {row}" for row, to in moves))
        assert named(verified(ledger)) == [("decisions", first, "was changed"), ("decisions", second, "was changed")]

    def test_a_decision_that_was_slipped_in_is_named(self, ledger: Ledger) -> None:
        sealed(ledger)
        row = row_of(ledger, 6)
        ledger.store([entry(30)])
        tamper(ledger, f"UPDATE decisions SET id = {row} + 1000 WHERE id = {row}",
               f"UPDATE decisions SET id = {row} WHERE transaction_id = 't-30'")  # fmt: skip
        assert named(verified(ledger)) == [("decisions", row, "was changed")]

    @pytest.mark.parametrize(
        "change",
        [
            "is_fraud = NOT is_fraud",
            "source = 'chargeback_of_somebody'",
            "decision_id = (SELECT decision_id FROM decisions WHERE transaction_id = 't-5')",
            "known_at = (SELECT max(scored_at) FROM decisions)",
            "received_at = (SELECT min(scored_at) FROM decisions)",
            "client = 'somebody'",
        ],
    )
    def test_a_changed_label_is_named(self, ledger: Ledger, change: str) -> None:
        ledger.store_labels([label(number) for number in range(1, 8)])
        sealed(ledger)
        row = label_row(ledger, 3)
        tamper(ledger, f"UPDATE labels SET {change} WHERE id = {row}")
        assert named(verified(ledger)) == [("labels", row, "was changed")]

    def test_a_label_that_was_deleted_or_slipped_in_is_named(self, ledger: Ledger) -> None:
        ledger.store_labels([label(number) for number in range(1, 8)])
        sealed(ledger)
        deleted, replaced = label_row(ledger, 2), label_row(ledger, 6)
        ledger.store_label(label(20, is_fraud=False))
        tamper(ledger, f"DELETE FROM labels WHERE id IN ({deleted}, {replaced})",
               f"UPDATE labels SET id = {replaced} WHERE id = {label_row(ledger, 20)}")  # fmt: skip
        assert named(verified(ledger)) == [("labels", deleted, "was deleted"), ("labels", replaced, "was changed")]

    def test_a_late_label_leaves_with_its_decision_and_a_young_one_may_not(self, ledger: Ledger) -> None:
        late = NOON + timedelta(days=9)
        ledger.store_labels([label(number, received_at=late) for number in (2, 7)])
        lone = {"decision_id": None, "digest": "f" * 16, "schema_digest": SCHEMA.digest, "values": [5.0, "a", None]}
        ledger.store_label(label(3, received_at=NOON, **lone))
        sealed(ledger)
        kept_since = 30 - timedelta(minutes=6) / timedelta(days=1)
        ledger.delete_before(NOON + timedelta(minutes=6), unlabelled_before=NOON + timedelta(minutes=6))
        assert ledger.audit.newest_row("labels") == label_row(ledger, 7)
        assert verified(ledger, days_kept=kept_since).is_whole
        assert ledger.audit.drop_old_marks() == 1
        assert verified(ledger, days_kept=kept_since).is_whole
        row = label_row(ledger, 7)
        tamper(ledger, "DELETE FROM labels")
        assert named(verified(ledger, days_kept=kept_since)) == [("labels", row, "was deleted")]

    def test_an_operators_action_that_was_changed_or_deleted_is_named(self, ledger: Ledger) -> None:
        sealed(ledger)
        tamper(ledger, "UPDATE model_events SET actor = 'operator:bob' WHERE id = (SELECT min(id) FROM model_events)")
        assert [(subject, what) for subject, _, what in named(verified(ledger))] == [("model_events", "was changed")]
        tamper(ledger, "DELETE FROM model_events WHERE id = (SELECT min(id) FROM model_events)")
        assert [(subject, what) for subject, _, what in named(verified(ledger))] == [("model_events", "was deleted")]

    def test_a_block_that_was_changed_removed_or_moved_is_named(self, ledger: Ledger) -> None:
        sealed(ledger)
        changes = (
            "UPDATE audit_blocks SET sealed_at = (SELECT max(scored_at) FROM decisions) WHERE id = (SELECT {0})",
            "UPDATE audit_blocks SET id = id + 1000 WHERE id = (SELECT {0})",
            "DELETE FROM audit_blocks WHERE id = (SELECT {0})",
        )
        for change in changes:
            tamper(ledger, change.format("min(id) FROM audit_blocks"))
            found = verified(ledger)
            assert any("was changed" in one.what or "does not follow" in one.what for one in found.findings), change

    def test_a_chain_that_lost_its_end_lacks_the_head_that_was_noted(self, ledger: Ledger) -> None:
        sealed(ledger)
        head = verified(ledger).head
        last = row_of(ledger, 8)
        assert verified(ledger, head=head).is_whole
        tamper(ledger, f"DELETE FROM decisions WHERE id = {last}",
               "DELETE FROM audit_blocks WHERE id = (SELECT max(id) FROM audit_blocks)")  # fmt: skip
        assert "no block" in named(verified(ledger, head=head))[0][2]

    def test_retention_takes_from_the_old_end_without_breaking_the_chain(self, ledger: Ledger) -> None:
        sealed(ledger)
        ledger.store_label(label(2))
        cut = NOON + timedelta(minutes=6)
        ledger.delete_before(cut, unlabelled_before=cut)
        kept_since = 30 - timedelta(minutes=6) / timedelta(days=1)
        assert verified(ledger, days_kept=kept_since).is_whole
        assert verified(ledger, days_kept=kept_since).retired == 5
        assert ledger.audit.drop_old_marks() == 1
        assert verified(ledger, days_kept=kept_since).is_whole
        assert [what for _, _, what in named(verified(ledger, days_kept=30))][1:] == ["was deleted"] * 2

    def test_what_is_young_is_not_excused_by_retention(self, ledger: Ledger) -> None:
        sealed(ledger)
        row = row_of(ledger, 8)
        tamper(ledger, f"DELETE FROM decisions WHERE id = {row}")
        assert named(verified(ledger, days_kept=30)) == [("decisions", row, "was deleted")]

    def test_rows_beyond_the_settled_one_wait(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in range(1, 6)])
        until = row_of(ledger, 2)
        assert [ledger.audit.seal("decisions", until=until, now=NOON) for _ in range(2)] == [2, 0]
        assert verified(ledger).not_sealed == 3
        assert verified(ledger).head != chain.START
