"""What every database must do when an entity is forgotten: no trace of its identifier, and the same figures."""

from __future__ import annotations

import msgspec
from sqlalchemy import text

from ml.ledger import Ledger
from ml.ledger.engine import reading
from tests.ledger_audit_contract import tamper, verified
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
        ledger.audit.seal(until=ledger.audit.newest_row(), now=NOON)
        ledger.forget("account", "account-1", actor="operator:ann", now=NOON)
        while ledger.audit.seal(until=ledger.audit.newest_row(), now=NOON):
            pass
        found = verified(ledger)
        assert (found.is_whole, found.forgotten, found.not_sealed) == (True, 3, 0)
        tamper(ledger, "UPDATE decisions SET amount = 1 WHERE transaction_id = 't-3'")
        assert [one.what for one in verified(ledger).findings] == ["was changed"]

    def test_forgetting_again_finds_nothing(self, ledger: Ledger) -> None:
        ledger.store([entry(1)])
        ledger.forget("account", "account-1", actor="operator:ann", now=NOON)
        assert ledger.forget("account", "account-1", actor="operator:ann", now=NOON).decisions == 0
