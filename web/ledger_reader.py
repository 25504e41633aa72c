"""The ledger as the web side reads it: pages of decisions, one decision by either id, the target of a label."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from config.contracts import Decision, JournalRecord
from config.schema.model import Schema
from config.tenants import SEPARATOR, prefix_for, sent_id, tenant_of
from ml.advisor.scores import DayScores
from ml.ledger import records
from ml.ledger.drift_reports import StoredDriftReport
from ml.ledger.pulse import LedgerPulse
from ml.ledger.repository import Ledger
from ml.ledger.review_book import ReviewFigures, ReviewOrder
from ml.quality.cells import Cell, Dimension, QualityState
from web.ports.labels import Label
from web.ports.ledger import DecisionFilter, StoredDecision


class LedgerReader:
    """A `DecisionLedger`, and what the gateway looks up. Every method raises LedgerUnavailable."""

    def __init__(self, ledger: Ledger, schema: Schema) -> None:
        self._ledger = ledger
        self._schema = schema

    def find_decision(self, decision_id: str, *, tenant: str) -> StoredDecision | None:
        """The decision with this decision id or transaction id."""
        stored = self._found(decision_id, tenant)
        if stored is None:
            return None
        labels = [item.label for item in self._ledger.labels_of(stored.decision.decision_id)]
        return replace(self._shown(stored, labels), features=self._features(stored))

    def list_decisions(self, wanted: DecisionFilter) -> Sequence[StoredDecision]:
        """Newest first; each with the label that counts now."""
        filters = records.DecisionFilter(
            action=wanted.action,
            is_fraud=wanted.is_fraud,
            model_version=wanted.model_version,
            since=wanted.since,
            until=wanted.until,
            min_probability=wanted.min_probability,
            max_probability=wanted.max_probability,
            labelled=wanted.labelled,
            entity=wanted.entity,
            value=None if wanted.value is None else _kept(wanted.value, wanted.tenant),
            tenant=wanted.tenant,
        )
        return self._listed(self._ledger.latest_decisions(wanted.limit, wanted.before, filters))

    def history_of(self, entity: str, value: str, *, limit: int, tenant: str) -> Sequence[StoredDecision]:
        """See `DecisionLedger.history_of`."""
        return self._listed(self._ledger.history_of(entity, _kept(value, tenant), limit=limit))

    def open_reviews(
        self, order: ReviewOrder, *, limit: int, tenant: str, after: int | None = None
    ) -> Sequence[StoredDecision]:
        """See `DecisionLedger.open_reviews`."""
        return self._listed(self._ledger.reviews.open(order, limit=limit, tenant=tenant, after=after))

    def review_figures(self, *, done_since: datetime, tenant: str) -> ReviewFigures:
        """See `DecisionLedger.review_figures`."""
        return self._ledger.reviews.figures(done_since=done_since, tenant=tenant)

    def model_events(self) -> Sequence[Mapping[str, Any]]:
        """The newest entries of the audit trail."""
        return [msgspec.to_builtins(event) for event in self._ledger.model_events()]

    def summary(self) -> Mapping[str, Any]:
        """Everything that `LedgerSummary` counts, and its rates."""
        summary = self._ledger.summary()
        rates = ("flagged_share", "fraud_rate", "accuracy", "precision", "recall")
        counts: dict[str, Any] = msgspec.to_builtins(summary)
        return counts | {name: getattr(summary, name) for name in rates}

    def pulse(self) -> LedgerPulse:
        """See `DecisionLedger.pulse`."""
        return self._ledger.pulse()

    def quality_state(self) -> QualityState | None:
        """See `DecisionLedger.quality_state`."""
        return self._ledger.quality.state()

    def quality_newest_day(self, *, before: str) -> str | None:
        """See `DecisionLedger.quality_newest_day`."""
        return self._ledger.quality.newest_day(before=before)

    def quality_cells(self, dimension: Dimension, *, since: str, until: str) -> Sequence[Cell]:
        """See `DecisionLedger.quality_cells`."""
        return self._ledger.quality.cells(dimension, since=since, until=until)

    def day_scores(self, *, since: str, until: str) -> Sequence[DayScores]:
        """See `DecisionLedger.day_scores`."""
        return self._ledger.quality.scores(since=since, until=until)

    def drift_reports(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest drift reports, newest first."""
        return [_report_shown(stored) for stored in self._ledger.drift_reports(limit)]

    def drift_report(self, report_id: int) -> Mapping[str, Any] | None:
        """One drift report, or None."""
        stored = self._ledger.drift_report(report_id)
        return None if stored is None else _report_shown(stored)

    def decision_json(self, transaction_id: str) -> bytes | None:
        """The stored decision of this transaction, encoded as it was answered, or None."""
        stored = self._ledger.decision_by_transaction(transaction_id)
        return msgspec.json.encode(stored.decision) if stored else None

    def find_label_target(self, label: Label) -> tuple[str, str] | None:
        """`(decision_id, transaction_id)` of the decision that a label is about, or None."""
        stored = self._target(label)
        return (stored.decision.decision_id, stored.decision.transaction_id) if stored else None

    def find_label_targets(self, labels: Sequence[Label]) -> list[tuple[str, str] | None]:
        """The same for labels by id: one per label in order."""
        pairs = self._ledger.identify(
            transaction_ids=[label.transaction_id for label in labels if label.transaction_id is not None],
            decision_ids=[label.decision_id for label in labels if label.decision_id is not None],
        )
        by_decision, by_transaction = {pair[0]: pair for pair in pairs}, {pair[1]: pair for pair in pairs}
        return [
            by_transaction.get(label.transaction_id)
            if label.transaction_id is not None
            else by_decision.get(label.decision_id or "")
            for label in labels
        ]

    def label_digests(self, label_ids: Sequence[str]) -> Mapping[str, str]:
        """See `LabelLookup.label_digests`."""
        return self._ledger.label_digests(label_ids)

    def _found(self, decision_id: str, tenant: str) -> records.StoredDecision | None:
        """By either id; another tenant's transaction may be called as this tenant's decision is."""
        stored = self._ledger.decision_by_id(decision_id)
        if stored is not None and tenant_of(stored.decision.transaction_id) == tenant:
            return stored
        return self._ledger.decision_by_transaction(_kept(decision_id, tenant))

    def _target(self, label: Label) -> records.StoredDecision | None:
        if label.decision_id is not None:
            return self._ledger.decision_by_id(label.decision_id)
        if label.transaction_id is not None:
            return self._ledger.decision_by_transaction(label.transaction_id)
        return self._ledger.decision_by_digest(label.digest) if label.digest else None

    def _listed(self, found: Sequence[records.StoredDecision]) -> Sequence[StoredDecision]:
        return [self._shown(stored, [stored.label] if stored.label else []) for stored in found]

    def _features(self, stored: records.StoredDecision) -> dict[str, float | None]:
        """The row of X that the model saw, by column. The columns of another schema are not known here."""
        if stored.record.schema_digest != self._schema.digest:
            return {}
        values = struct.unpack(f"<{len(stored.features) // 8}d", stored.features)
        columns = [*(f.name for f in self._schema.model_fields), *(f.name for f in self._schema.features)]
        return {name: None if math.isnan(value) else value for name, value in zip(columns, values, strict=False)}

    def _shown(self, stored: records.StoredDecision, labels: Sequence[records.LabelRecord]) -> StoredDecision:
        return StoredDecision(
            id=stored.id,
            sequence=stored.sequence,
            decision=_decision_shown(stored.decision),
            sent=self._sent(stored.record),
            derived=stored.record.derived,
            labels=[_label_shown(label) for label in labels],
            event_at=stored.event_at,
            amount=stored.record.amount,
            client=stored.record.client,
        )

    def _sent(self, record: JournalRecord) -> dict[str, Any]:
        """The fields that the client sent, by the names of the schema that the decision was made under."""
        names = self._ledger.field_names(record.schema_digest) or tuple(f.name for f in self._schema.fields)
        return {
            name: self._readable(name, value)
            for name, value in zip(names, record.values, strict=False)
            if value is not None
        }

    def _readable(self, name: str, value: Any) -> Any:
        field = self._schema.by_name.get(name)
        if field is None or field.type != "timestamp" or not isinstance(value, int | float):
            return value
        return datetime.fromtimestamp(value, tz=UTC).isoformat().replace("+00:00", "Z")


def _kept(sent: str, tenant: str) -> str:
    """What a tenant calls something, as the ledger calls it; what no tenant can have sent finds nothing."""
    return prefix_for(tenant) + sent.replace(SEPARATOR, "\N{REPLACEMENT CHARACTER}")


def _decision_shown(decision: Decision) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(decision)
    return shown | {"transaction_id": sent_id(decision.transaction_id)}


def _report_shown(stored: StoredDriftReport) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(stored)
    return shown


def _label_shown(label: records.LabelRecord) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(label)
    names = ("label_id", "is_fraud", "source", "reason_code", "known_at", "received_at", "amount", "client")
    return {name: shown[name] for name in names} | {"label_id": sent_id(label.label_id)}
