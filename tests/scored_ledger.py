"""A ledger that looks as if a real bundle had served simulated payments: scores, actions and labels belong together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from config.contracts import Decision, JournalEntry, JournalRecord
from config.schema.load import load_schema
from config.settings import DEFAULT_SCHEMA
from ml.bundle import Bundle
from ml.decisions import Thresholds, decide
from ml.features.frame import assemble_frame
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger
from ml.training.candidates import QUICK_CANDIDATES
from ml.training.data import label_frame
from ml.training.train import TrainingOptions, train
from tests.served_ledger import label, simulated

SCHEMA = load_schema(DEFAULT_SCHEMA)
SPEC = FeatureSpec.from_schema(SCHEMA)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def train_bundle(model_dir: Path, *, seed: int, payments: int = 4000) -> Bundle:
    """A bundle on payments of its own, so that everything in a ledger is new to it."""
    frame = simulated(SCHEMA, payments, days=40, seed=seed)
    options = TrainingOptions(label_delay_s=86_400.0, candidates=QUICK_CANDIDATES[:1], seed=seed, is_simulated=True)
    text = DEFAULT_SCHEMA.read_text(encoding="utf-8")
    data = label_frame(frame, SCHEMA, "the simulation")
    return train(text, data, model_dir, options, now=NOW, say=lambda _text: None).bundle


def serve_scored(
    ledger: Ledger, bundle: Bundle, frame: pd.DataFrame, thresholds: Thresholds | None = None, *, labelled: bool = True
) -> None:
    """Decide every payment by the bundle and store it; with `labelled`, all true labels as well."""
    X = assemble_frame(frame, SPEC, bundle.featurizer.vocabularies, is_fraud=None, label_delay_s=0.0)
    entries = list(_entries(bundle, frame, X, thresholds or bundle.thresholds))
    for start in range(0, len(entries), 5000):
        ledger.store(entries[start : start + 5000])
    if labelled:
        label(ledger, frame)


def _entries(bundle: Bundle, frame: pd.DataFrame, X: np.ndarray, thresholds: Thresholds) -> Iterator[JournalEntry]:
    probabilities = bundle.score(X).tolist()
    for number, row in enumerate(frame.to_dict("records")):
        at_s = row["timestamp"].timestamp()
        verdict = decide(probabilities[number], thresholds)
        decision = Decision(
            decision_id=f"d-{row['transaction_id']}",
            transaction_id=row["transaction_id"],
            fraud_probability=probabilities[number],
            is_fraud=verdict.is_fraud,
            risk_score=verdict.risk_score,
            risk_level=verdict.risk_level,
            action=verdict.action,
            reasons=[],
            model_version=bundle.model_version,
            scored_at=datetime.fromtimestamp(at_s, UTC).isoformat(),
        )
        record = JournalRecord(
            sequence=number + 1,
            digest=f"{number:016x}",
            schema_digest=SCHEMA.digest,
            received_ms=int(at_s * 1000),
            event_at_s=at_s,
            amount=float(row["amount"]),
            values=[_value(row.get(field.name)) for field in SCHEMA.fields],
            derived={},
            model_digest=bundle.digest,
        )
        yield JournalEntry(decision, record, X[number].astype("<f8").tobytes())


def _value(value: object) -> object:
    return value.timestamp() if isinstance(value, pd.Timestamp) else value
