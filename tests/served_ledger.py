"""A ledger that looks as if simulated payments had been served and labelled: for tests of what learns from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from config.contracts import Decision, JournalEntry, JournalRecord
from config.schema.model import Schema
from ml.features.frame import assemble_frame
from ml.features.spec import FeatureSpec
from ml.ledger import LabelRecord, Ledger
from ml.simulator import simulate_payments


def simulated(schema: Schema, n: int, *, days: float, seed: int = 7, **options: Any) -> pd.DataFrame:
    """Payments from a start of 2026 on, 3% of them fraud."""
    return simulate_payments(schema, n, np.random.default_rng(seed), days=days, fraud_share=0.03, **options)


def serve(
    ledger: Ledger,
    frame: pd.DataFrame,
    spec: FeatureSpec,
    vocabularies: Mapping[str, Mapping[str, int]],
    **changed: Any,
) -> None:
    """Store one decision per row, features as that model would have been shown them; `changed` fields of the record,
    or of the decision.
    """
    X = assemble_frame(frame, spec, vocabularies, is_fraud=None, label_delay_s=0.0)
    entries = [
        _entry(row, number, X[number], spec.schema, changed) for number, row in enumerate(frame.to_dict("records"))
    ]
    for start in range(0, len(entries), 5000):
        ledger.store(entries[start : start + 5000])


def label(ledger: Ledger, frame: pd.DataFrame, *, first_sequence: int = 1_000_000) -> None:
    """Store the true label of every row, known when the frame says so."""
    records = [
        LabelRecord(
            label_id=f"l-{row['transaction_id']}",
            decision_id=f"d-{row['transaction_id']}",
            is_fraud=bool(row["is_fraud"]),
            source="chargeback",
            known_at=row["known_at"].to_pydatetime(),
            received_at=row["known_at"].to_pydatetime(),
            sequence=first_sequence + number,
        )
        for number, row in enumerate(frame.to_dict("records"))
    ]
    for start in range(0, len(records), 5000):
        ledger.store_labels(records[start : start + 5000])


def _entry(
    row: dict[str, Any], number: int, features: np.ndarray, schema: Schema, changed: Mapping[str, Any]
) -> JournalEntry:
    at_s = row["timestamp"].timestamp()
    of_decision = {name: changed[name] for name in changed if name in Decision.__struct_fields__}
    told: dict[str, Any] = {
        "decision_id": f"d-{row['transaction_id']}",
        "transaction_id": row["transaction_id"],
        "fraud_probability": 0.1,
        "is_fraud": False,
        "risk_score": 10,
        "risk_level": "low",
        "action": "approve",
        "reasons": [],
        "model_version": "m-1",
        "scored_at": datetime.fromtimestamp(at_s, UTC).isoformat(),
    }
    record: dict[str, Any] = {
        "sequence": number + 1,
        "digest": f"{number:016x}",
        "schema_digest": schema.digest,
        "received_ms": int(at_s * 1000),
        "event_at_s": at_s,
        "amount": float(row["amount"]),
        "values": [_value(row.get(field.name)) for field in schema.fields],
        "derived": {},
    }
    of_record = {name: value for name, value in changed.items() if name not in of_decision}
    decision = Decision(**(told | of_decision))
    return JournalEntry(decision, JournalRecord(**(record | of_record)), features.astype("<f8").tobytes())


def _value(value: Any) -> Any:
    return value.timestamp() if isinstance(value, pd.Timestamp) else value
