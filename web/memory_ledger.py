"""The ledger without a database: what a `MemoryGateway` has decided, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from config.tenants import prefix_for, sent_id, tenant_of
from ml.advisor.scores import DayScores
from ml.ledger.pulse import LedgerPulse
from ml.ledger.review_book import ReviewFigures, ReviewOrder
from ml.quality.cells import Cell, Dimension, QualityState
from web.memory_gateway import MemoryGateway
from web.ports.labels import Label, LabelOutcome
from web.ports.ledger import DecisionFilter, StoredDecision
from web.ports.transactions import Transaction


@dataclass(frozen=True, slots=True)
class MemoryLedger:
    """The decisions of a `MemoryGateway`, as a `DecisionLedger`. `names`: the schema's fields in order.

    Nothing is rolled up here: `cells`, `scores` and `state` are what it shows. `reports`: drift reports, newest first.
    """

    gateway: MemoryGateway
    names: Sequence[str]
    cells: Sequence[Cell] = ()
    state: QualityState | None = None
    reports: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Mapping[str, Any]] = ()
    scores: Sequence[DayScores] = ()

    def find_decision(self, decision_id: str, *, tenant: str) -> StoredDecision | None:
        """See `DecisionLedger.find_decision`."""
        for stored in self._of(tenant):
            if decision_id in (stored.decision["decision_id"], stored.decision["transaction_id"]):
                return stored
        return None

    def list_decisions(self, wanted: DecisionFilter) -> Sequence[StoredDecision]:
        """See `DecisionLedger.list_decisions`; filters by cursor, action, version and verdict."""
        equal = {"action": wanted.action, "model_version": wanted.model_version, "is_fraud": wanted.is_fraud}
        low, high = wanted.min_probability or 0.0, 1.0 if wanted.max_probability is None else wanted.max_probability
        found = [
            stored
            for stored in reversed(self._of(wanted.tenant))
            if (wanted.before is None or stored.id < wanted.before)
            and low <= stored.decision["fraud_probability"] <= high
            and all(value is None or stored.decision[name] == value for name, value in equal.items())
            and (wanted.labelled is None or bool(stored.labels) == wanted.labelled)
            and (wanted.entity is None or self._is_about(stored, wanted.entity, wanted.value))
        ]
        return found[: wanted.limit]

    def history_of(self, entity: str, value: str, *, limit: int, tenant: str) -> Sequence[StoredDecision]:
        """See `DecisionLedger.history_of`; the latest to come first."""
        return [stored for stored in reversed(self._of(tenant)) if self._is_about(stored, entity, value)][:limit]

    def open_reviews(
        self, order: ReviewOrder, *, limit: int, tenant: str, after: int | None = None
    ) -> Sequence[StoredDecision]:
        """See `DecisionLedger.open_reviews`."""
        found = [stored for stored in self._of(tenant) if stored.decision["action"] == "review"]
        if order == "loss":
            found.sort(key=lambda stored: -stored.decision["fraud_probability"] * (stored.amount or 0.0))
        if after is not None:
            place = next((number for number, stored in enumerate(found, start=1) if stored.id == after), len(found))
            found = found[place:]
        return [stored for stored in found if not stored.labels][:limit]

    def review_figures(self, *, done_since: datetime, tenant: str) -> ReviewFigures:
        """See `DecisionLedger.review_figures`."""
        waiting = self.open_reviews("age", limit=len(self._all()), tenant=tenant)
        oldest_at = datetime.fromisoformat(waiting[0].decision["scored_at"]) if waiting else None
        labels = [label for label, _ in self._labels(tenant) if label.source == "manual_review"]
        return ReviewFigures(len(waiting), oldest_at, sum(label.known_at >= done_since for label in labels))

    def drift_reports(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """See `DecisionLedger.drift_reports`."""
        return self.reports[:limit]

    def drift_report(self, report_id: int) -> Mapping[str, Any] | None:
        """See `DecisionLedger.drift_report`."""
        return next((report for report in self.reports if report["id"] == report_id), None)

    def model_events(self) -> Sequence[Mapping[str, Any]]:
        """See `DecisionLedger.model_events`."""
        return self.events

    def summary(self) -> Mapping[str, Any]:
        """See `DecisionLedger.summary`."""
        return {"decisions": len(self._all()), "labels": len(self.gateway.labels), "accuracy": None}

    def pulse(self) -> LedgerPulse:
        """See `DecisionLedger.pulse`."""
        verdicts = [decision.is_fraud for _, decision in self.gateway.decided()]
        return LedgerPulse(len(verdicts), sum(verdicts), self.gateway.labelled_at)

    def quality_state(self) -> QualityState | None:
        """See `DecisionLedger.quality_state`."""
        return self.state

    def quality_newest_day(self, *, before: str) -> str | None:
        """See `DecisionLedger.quality_newest_day`."""
        return max((cell.day for cell in self.cells if cell.day < before), default=None)

    def quality_cells(self, dimension: Dimension, *, since: str, until: str) -> Sequence[Cell]:
        """See `DecisionLedger.quality_cells`."""
        return [cell for cell in self.cells if cell.dimension == dimension and since <= cell.day < until]

    def day_scores(self, *, since: str, until: str) -> Sequence[DayScores]:
        """See `DecisionLedger.day_scores`."""
        return [one for one in self.scores if since <= one.day < until]

    def _labels(self, tenant: str) -> list[tuple[Label, LabelOutcome]]:
        return [one for one in self.gateway.labels if tenant_of(one[0].label_id) == tenant]

    def _of(self, tenant: str) -> list[StoredDecision]:
        """Of one tenant, with its ids as it sent them."""
        found = [one for one in self._all() if tenant_of(one.decision["transaction_id"]) == tenant]
        prefix = len(prefix_for(tenant))
        return [
            replace(one, decision={**one.decision, "transaction_id": one.decision["transaction_id"][prefix:]})
            for one in found
        ]

    def _all(self) -> list[StoredDecision]:
        return [
            StoredDecision(
                id=number,
                sequence=number,
                decision=msgspec.to_builtins(decision),
                sent=self._sent(transaction),
                event_at=datetime.fromisoformat(decision.scored_at),
                amount=self._sent(transaction).get("amount"),
                client=self.gateway.clients.get(decision.transaction_id, ""),
                labels=[
                    {
                        "label_id": sent_id(label.label_id),
                        "is_fraud": label.is_fraud,
                        "source": label.source,
                        "reason_code": label.reason_code,
                        "known_at": label.known_at.isoformat(),
                        "received_at": label.known_at.isoformat(),
                        "amount": label.amount,
                        "client": label.client,
                    }
                    for label, outcome in self.gateway.labels
                    if outcome.decision_id == decision.decision_id
                ],
            )
            for number, (transaction, decision) in enumerate(self.gateway.decided(), start=1)
        ]

    def _sent(self, transaction: Transaction) -> dict[str, Any]:
        return {n: v for n, v in zip(self.names, transaction.values, strict=True) if v is not None}

    @staticmethod
    def _is_about(stored: StoredDecision, entity: str, value: str | None) -> bool:
        return str(stored.sent.get(f"{entity}_id")) == value
