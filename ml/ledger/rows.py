"""Translates between the contracts (`JournalEntry`, `LabelRecord`) and table rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from config.contracts import Decision, JournalEntry, JournalRecord, Reason
from config.tenants import prefix_of, tenant_of
from ml.ledger.columns import require_aware
from ml.ledger.records import LabelRecord, StoredDecision, StoredLabel

Row = dict[str, Any]
Fields = Mapping[Any, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)
_LABEL_COLUMNS = tuple(name for name in LabelRecord.__struct_fields__ if name != "values")


def moment_of(unix_s: float) -> datetime:
    """Unix seconds as an aware moment, to the microsecond; beyond the years 1 to 9999, the nearest there is.

    >>> moment_of(1e15).year
    9999
    """
    try:
        return _EPOCH + timedelta(seconds=unix_s)
    except OverflowError:
        return _EARLIEST if unix_s < 0 else _LATEST


# The rows of a batch or a chunk share these two.
@lru_cache(maxsize=1024)
def _moment_of_ms(unix_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=unix_ms)


@lru_cache(maxsize=1024)
def _scored_at(text: str) -> datetime:
    return require_aware(datetime.fromisoformat(text))


def decision_row(entry: JournalEntry) -> Row:
    """The row of `decisions` that holds this entry."""
    decision, record = entry.decision, entry.record
    return {
        "transaction_id": decision.transaction_id,
        "decision_id": decision.decision_id,
        "sequence": record.sequence,
        "digest": record.digest,
        "schema_digest": record.schema_digest,
        "received_at": _moment_of_ms(record.received_ms),
        "event_at": moment_of(record.event_at_s),
        "event_time_s": record.event_at_s,
        "scored_at": _scored_at(decision.scored_at),
        "amount": record.amount,
        "fraud_probability": decision.fraud_probability,
        "is_fraud": decision.is_fraud,
        "risk_score": decision.risk_score,
        "risk_level": decision.risk_level,
        "action": decision.action,
        "reasons": decision.reasons,
        "model_version": decision.model_version,
        "model_digest": record.model_digest,
        "degraded": decision.degraded,
        "sent_values": record.values,
        "derived_values": record.derived,
        "features": entry.features,
        "client": record.client,
        "propensity": record.propensity,
        "tenant": tenant_of(decision.transaction_id),
    }


def entity_rows(entry: JournalEntry, positions: Mapping[str, int]) -> list[Row]:
    """One row of `decision_entities` per entity that is named; `positions`: where in `values` each is."""
    tenant = prefix_of(entry.decision.transaction_id)
    return [
        {
            "entity": entity,
            "value": f"{tenant}{entry.record.values[position]}",
            "event_time_s": entry.record.event_at_s,
            "transaction_id": entry.decision.transaction_id,
        }
        for entity, position in positions.items()
        if position < len(entry.record.values) and entry.record.values[position] is not None
    ]


def label_row(label: LabelRecord) -> Row:
    """The row of `labels` that holds this label."""
    return {name: getattr(label, name) for name in _LABEL_COLUMNS} | {"sent_values": label.values}


def label_of(row: Fields) -> LabelRecord:
    """The label that a row of `labels` holds."""
    return LabelRecord(values=row["sent_values"], **{name: row[name] for name in _LABEL_COLUMNS})


def stored_label(row: Fields) -> StoredLabel:
    return StoredLabel(id=row["id"], label=label_of(row))


def stored_decision(row: Fields, label: LabelRecord | None = None) -> StoredDecision:
    """What `decision_row` stored, equal to the entry it was made from."""
    return StoredDecision(
        id=row["id"],
        decision=_decision_of(row),
        record=_record_of(row),
        features=row["features"],
        received_at=row["received_at"],
        event_at=row["event_at"],
        scored_at=row["scored_at"],
        label=label,
    )


def _decision_of(row: Fields) -> Decision:
    return Decision(
        decision_id=row["decision_id"],
        transaction_id=row["transaction_id"],
        fraud_probability=row["fraud_probability"],
        is_fraud=row["is_fraud"],
        risk_score=row["risk_score"],
        risk_level=row["risk_level"],
        action=row["action"],
        reasons=msgspec.convert(row["reasons"], list[Reason]),
        model_version=row["model_version"],
        scored_at=_rfc3339(row["scored_at"]),
        degraded=row["degraded"],
    )


def _record_of(row: Fields) -> JournalRecord:
    return JournalRecord(
        sequence=row["sequence"],
        digest=row["digest"],
        schema_digest=row["schema_digest"],
        received_ms=(row["received_at"] - _EPOCH) // timedelta(milliseconds=1),
        event_at_s=row["event_time_s"],
        amount=row["amount"],
        values=row["sent_values"],
        derived=row["derived_values"],
        model_digest=row["model_digest"],
        client=row["client"],
        propensity=row["propensity"],
    )


def _rfc3339(moment: datetime) -> str:
    """In UTC with a Z; milliseconds, or microseconds where there are any.

    >>> _rfc3339(datetime(2026, 11, 23, 22, 51, 16, 250_000, tzinfo=UTC))
    '2026-11-23T22:51:16.250Z'
    """
    timespec = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
