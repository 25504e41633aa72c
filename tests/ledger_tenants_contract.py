"""What every database must do with the decisions of several tenants: list each one's apart, and show who moved one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from config.contracts import JournalEntry
from ml.ledger import DecisionFilter, Ledger
from ml.ledger.engine import reading
from ml.ledger.read import of_tenant
from ml.ledger.tables import decisions
from tests.ledger_audit_contract import tamper, verified
from tests.ledger_entries import NOON, SCHEMA, entry, label

ACME = "acme\x1f"


def of_acme(number: int, **changes: Any) -> JournalEntry:
    """The decision about acme's transaction `t-<number>`, which the default tenant has as well."""
    return entry(number, transaction_id=f"{ACME}t-{number}", decision_id=f"acme-{number}", **changes)


class TenantsContract:
    """Both tenants have the transactions t-0 to t-3 of account-0 and account-1; all of them wait for a review."""

    def _store(self, ledger: Ledger) -> None:
        ledger.store([make(number, action="review") for number in range(4) for make in (entry, of_acme)])

    def test_each_tenants_decisions_are_listed_apart(self, ledger: Ledger) -> None:
        self._store(ledger)
        for tenant, prefix in (("default", ""), ("acme", ACME), ("bolt", "bolt\x1f")):
            found = ledger.latest_decisions(filters=DecisionFilter(tenant=tenant))
            numbers = [] if tenant == "bolt" else [3, 2, 1, 0]
            assert [one.decision.transaction_id for one in found] == [f"{prefix}t-{number}" for number in numbers]
        assert len(ledger.latest_decisions()) == 8

    def test_each_tenants_accounts_have_a_history_of_their_own(self, ledger: Ledger) -> None:
        self._store(ledger)
        for prefix in ("", ACME):
            theirs = ledger.history_of("account", f"{prefix}account-1")
            assert [one.decision.transaction_id for one in theirs] == [f"{prefix}t-3", f"{prefix}t-1"]
            wanted = {"entity": "account", "value": f"{prefix}account-1"}
            assert len(ledger.latest_decisions(filters=DecisionFilter(**wanted, tenant="acme"))) == (2 if prefix else 0)

    def test_each_tenant_reviews_its_own(self, ledger: Ledger) -> None:
        self._store(ledger)
        ledger.store_label(label(1, label_id=f"{ACME}l-1", decision_id="acme-1", source="manual_review"))
        for tenant, waiting, done in (("default", 4, 0), ("acme", 3, 1), ("bolt", 0, 0)):
            figures = ledger.reviews.figures(done_since=NOON + timedelta(days=8), tenant=tenant)
            assert (figures.open, figures.done) == (waiting, done)
            assert len(ledger.reviews.open("loss", limit=10, tenant=tenant)) == waiting

    def test_a_tenants_list_is_read_by_its_index(self, ledger: Ledger) -> None:
        self._store(ledger)
        query = decisions.select().where(*of_tenant("acme")).order_by(decisions.c.id.desc()).limit(2)
        with reading(ledger._engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                connection.exec_driver_sql("SET LOCAL enable_sort = off")
            statement = query.compile(connection.engine, compile_kwargs={"literal_binds": True})
            explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
            plan = "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {statement}"))
        assert "ix_decisions_tenant" in plan

    def test_a_tenants_account_is_forgotten_and_its_namesake_is_not(self, ledger: Ledger) -> None:
        self._store(ledger)
        alone: dict[str, Any] = {"decision_id": None, "digest": "f" * 16, "schema_digest": SCHEMA.digest}
        values = [5.0, "account-1", None]
        ledger.store_labels([label(n, label_id=f"{p}l-{n}", values=values, **alone) for n, p in ((8, ""), (9, ACME))])

        done = ledger.forget("account", "account-1", actor="operator:ann", now=NOON, tenant="acme")

        assert (done.decisions, done.labels) == (2, 1)
        assert len(ledger.history_of("account", "account-1")) == 2
        assert ledger.history_of("account", f"{ACME}account-1") == []
        [newest, _] = ledger.history_of("account", f"{ACME}{done.pseudonym}")
        assert newest.record.values[1] == done.pseudonym
        assert ledger.decision_by_transaction("t-1").record.values[1] == "account-1"  # type: ignore[union-attr]

    def test_old_decisions_go_with_their_tenants_history(self, ledger: Ledger) -> None:
        self._store(ledger)
        until = NOON + timedelta(minutes=2)
        ledger.delete_before(until, unlabelled_before=until)
        for prefix in ("", ACME):
            theirs = ledger.history_of("account", f"{prefix}account-1")
            assert [one.decision.transaction_id for one in theirs] == [f"{prefix}t-3"]

    def test_a_decision_that_is_moved_to_another_tenant_breaks_the_chain(self, ledger: Ledger) -> None:
        self._store(ledger)
        while ledger.audit.seal("decisions", until=ledger.audit.newest_row("decisions"), now=NOON):
            pass
        assert verified(ledger).is_whole
        tamper(ledger, "UPDATE decisions SET tenant = 'acme' WHERE transaction_id = 't-1'")
        tamper(ledger, "UPDATE decisions SET tenant = 'default' WHERE decision_id = 'acme-2'")
        assert [one.what for one in verified(ledger).findings] == ["was changed", "was changed"]
