"""What every database must do when an entity is forgotten: no trace of its identifier, and the same figures."""

from __future__ import annotations

import msgspec
from sqlalchemy import text

from ml.ledger import Ledger
from ml.ledger.engine import reading
from tests.ledger_audit_contract import seal_all, tamper, verified
from tests.ledger_entries import NOON, SCHEMA, entry, label

TABLES = ("decisions", "decision_entities", "labels", "model_events", "audit_blocks")


def whole_text(ledger: Ledger) -> str:
    """Every cell of the tables that know of payments."""
    with reading(ledger._engine) as connection:
        rows = [str(tuple(row)) for table in TABLES for row in connection.execute(text(f"SELECT * FROM {table}"))]
    return "\n".join(rows)


class ForgettingContract:
    """`Ledger.forget`, with the audit chain over it."""

    def test_a_forgotten_account_leaves_no_trace_and_its_neighbour_stays(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in range(6)])
        unknown = label(
            9, decision_id=None, digest="f" * 16, schema_digest=SCHEMA.digest, values=[5.0, "account-1", None]
        )
        ledger.store_labels([label(1), unknown])
        done = ledger.forget("account", "account-1", actor="operator:ann", now=NOON)
        assert (done.decisions, done.labels) == (3, 1)
        assert "account-1" not in whole_text(ledger)
        assert len(ledger.history_of("account", "account-0")) == 3
        [event] = ledger.model_events()
        assert (event.actor, event.action) == ("operator:ann", "entity_forgotten")

    def test_the_books_stay_right_and_the_account_s_rows_stay_together(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in range(6)])
        ledger.store_label(label(1))
        before = ledger.summary()
        done = ledger.forget("account", "account-1", actor="operator:ann", now=NOON)
        assert ledger.summary() == before
        theirs = ledger.history_of("account", done.pseudonym)
        assert [stored.decision.transaction_id for stored in theirs] == ["t-5", "t-3", "t-1"]
        assert theirs[-1].decision == entry(1).decision
        assert theirs[-1].record == msgspec.structs.replace(entry(1).record, values=[1500.0, done.pseudonym, None])
        assert theirs[-1].label == label(1)

    def test_what_was_forgotten_breaks_no_chain_and_a_change_after_it_does(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in range(6)])
        seal_all(ledger)
        ledger.forget("account", "account-1", actor="operator:ann", now=NOON)
        seal_all(ledger)
        found = verified(ledger)
        assert (found.is_whole, found.forgotten, found.not_sealed) == (True, 3, 0)
        tamper(ledger, "UPDATE decisions SET amount = 1 WHERE transaction_id = 't-3'")
        assert [one.what for one in verified(ledger).findings] == ["was changed"]

    def test_a_forgotten_label_breaks_no_chain_sealed_or_not_and_a_change_after_it_does(self, ledger: Ledger) -> None:
        lone = {"decision_id": None, "digest": "f" * 16, "schema_digest": SCHEMA.digest}
        ledger.store_labels([label(8, **lone, values=[5.0, "account-1", None])])
        ledger.store_labels([label(9, **lone, values=[6.0, "account-2", None])])
        seal_all(ledger)
        ledger.store_labels([label(10, **lone, values=[7.0, "account-1", None])])
        ledger.store([entry(1)])  # else the schema is not known
        assert ledger.forget("account", "account-1", actor="operator:ann", now=NOON).labels == 2
        seal_all(ledger)
        assert (verified(ledger).is_whole, verified(ledger).not_sealed) == (True, 0)
        tamper(ledger, "UPDATE labels SET is_fraud = NOT is_fraud WHERE label_id = 'l-8'")
        assert [(one.subject, one.what) for one in verified(ledger).findings] == [("labels", "was changed")]

    def test_forgetting_again_finds_nothing(self, ledger: Ledger) -> None:
        ledger.store([entry(1)])
        ledger.forget("account", "account-1", actor="operator:ann", now=NOON)
        assert ledger.forget("account", "account-1", actor="operator:ann", now=NOON).decisions == 0
