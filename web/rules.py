"""Decisions without a score: the policy file alone, marked `degraded`. Used when a deadline passed and
TOLLGATE_LATE_FALLBACK is `rules`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from config.contracts import Decision, JournalRecord
from config.schema.model import Schema
from ml.policy import Policy, rules_decision
from web.identifiers import new_id
from web.ports.transactions import Transaction

MODEL_VERSION = "rules"


class RulesDecider:
    """Applies one policy to transactions of one schema."""

    def __init__(self, schema: Schema, policy: Policy) -> None:
        self._policy = policy
        self._schema_digest = schema.digest
        names = [field.name for field in schema.fields]
        roles = schema.roles
        self._amount_at = names.index(roles.amount) if roles.amount else None
        self._event_time_at = names.index(roles.event_time) if roles.event_time else None

    def decide(
        self, transaction: Transaction, transaction_id: str, *, received_ms: int, client: str = ""
    ) -> tuple[Decision, JournalRecord]:
        """The decision and what the ledger keeps beside it; no features, and sequence 0 unless a worker gave one."""
        ruled = rules_decision(transaction.values, self._policy)
        decision = Decision(
            decision_id=new_id(),
            transaction_id=transaction_id,
            fraud_probability=ruled.fraud_probability,
            is_fraud=ruled.is_fraud,
            risk_score=ruled.risk_score,
            risk_level=ruled.risk_level,
            action=ruled.action,
            reasons=[ruled.reason],
            model_version=MODEL_VERSION,
            scored_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            degraded=True,
        )
        return decision, self._record(transaction, received_ms, client)

    def _record(self, transaction: Transaction, received_ms: int, client: str) -> JournalRecord:
        values = transaction.values
        sent_at = None if self._event_time_at is None else values[self._event_time_at]
        return JournalRecord(
            sequence=0,
            digest=transaction.digest,
            schema_digest=self._schema_digest,
            received_ms=received_ms,
            event_at_s=received_ms / 1000 if sent_at is None else float(sent_at),
            amount=None if self._amount_at is None else values[self._amount_at],
            values=values,
            derived={},
            client=client,
        )
