"""A small ledger that looks as if a real bundle had served it: scores, actions, features and labels belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from config.contracts import Decision, JournalEntry, JournalRecord
from config.schema.load import parse_schema
from ml.bundle import Bundle, BundleContents, load_bundle, save_bundle
from ml.calibration import Sigmoid
from ml.decisions import Thresholds, decide
from ml.extra_columns import ExtraColumns
from ml.features.spec import FeatureSpec
from ml.ledger import LabelRecord, Ledger

SCHEMA_TEXT = """
name = "shop"
version = 1

[roles]
amount = "amount"
event_time = "at"
label = "fraud"
entities = { account = "account" }

[fields.account]
type = "id"

[fields.at]
type = "timestamp"

[fields.amount]
type = "number"

[fields.signal]
type = "number"

[fields.kind]
type = "category"
"""
SCHEMA = parse_schema(SCHEMA_TEXT)
SPEC = FeatureSpec.from_schema(SCHEMA, 128)
START = datetime(2026, 3, 1, tzinfo=UTC)
KINDS = ("online", "shop", "travel")


@dataclass(frozen=True, slots=True)
class Payments:
    """Payments in the order of time, one entry each in every array."""

    at_s: np.ndarray
    account: np.ndarray
    amount: np.ndarray
    signal: np.ndarray
    kind: np.ndarray
    fraud: np.ndarray

    def matrix(self, vocabulary: dict[str, int]) -> np.ndarray:
        """X as a model with this vocabulary is shown it."""
        columns: dict[str, Any] = {
            "amount": self.amount,
            "signal": self.signal,
            "kind": [float(vocabulary[kind]) for kind in self.kind],
        }
        return np.column_stack([columns[name] for name in SPEC.columns])


def make_payments(n: int, *, days: int, seed: int = 3) -> Payments:
    """`n` payments over some days from 2026-03-01 on, about one in eight a fraud."""
    rng = np.random.default_rng(seed)
    signal, kind = rng.normal(size=n), rng.choice(KINDS, n)
    odds = -3.5 + 2.2 * signal + 1.5 * (kind == "travel")
    return Payments(
        at_s=np.sort(START.timestamp() + rng.uniform(0, 86_400 * days, n)),
        account=rng.integers(0, n // 4, n),
        amount=rng.lognormal(4, 1, n).round(2),
        signal=signal,
        kind=kind,
        fraud=rng.random(n) < 1 / (1 + np.exp(-odds)),
    )


def make_bundle(
    model_dir: Path, name: str, *, kinds: Sequence[str] = KINDS, noise: float = 0.0, until_s: float | None = None
) -> Bundle:
    """A bundle fitted on payments of its own. `kinds`: the order of its categories' codes. `noise`: how badly it
    learned the signal.
    """
    vocabulary = {kind: code for code, kind in enumerate(kinds)}
    payments = make_payments(2000, days=20, seed=len(name))
    X = payments.matrix(vocabulary)
    X[:, SPEC.columns.index("signal")] += np.random.default_rng(1).normal(0.0, noise, len(X))
    model = HistGradientBoostingClassifier(max_iter=25, max_depth=3, early_stopping=False, random_state=0)
    contents = BundleContents(
        schema_text=SCHEMA_TEXT,
        history_events=128,
        vocabularies={"kind": vocabulary},
        pipeline=Pipeline([("columns", ExtraColumns((), ())), ("trees", model.fit(X, payments.fraud))]),
        linear=None,
        linear_share=0.0,
        calibrator=Sigmoid(1.0, 0.0),
        thresholds=Thresholds(review=0.2, decline=0.5),
        typical=np.zeros(X.shape[1]),
        metadata={} if until_s is None else {"trained_until_s": until_s},
    )
    digest = save_bundle(model_dir / name, contents, golden_rows=X[:8], attachments={})
    return load_bundle(model_dir / name, digest=digest)


def serve(ledger: Ledger, bundle: Bundle, payments: Payments, thresholds: Thresholds | None = None) -> None:
    """Decide every payment by the bundle and store it."""
    entries = list(decided_by(bundle, payments, thresholds or bundle.thresholds))
    for start in range(0, len(entries), 2000):
        ledger.store(entries[start : start + 2000])


def label(ledger: Ledger, payments: Payments, rows: Sequence[int]) -> None:
    """Say of these payments what they were, a day after each."""
    ledger.store_labels([_label(payments, row) for row in rows])


def decided_by(bundle: Bundle, payments: Payments, thresholds: Thresholds) -> Iterator[JournalEntry]:
    """What the journal has of these payments, decided by a bundle with these thresholds."""
    X = payments.matrix(bundle.featurizer.vocabularies["kind"])
    for row, probability in enumerate(bundle.score(X).tolist()):
        verdict = decide(probability, thresholds)
        at_s = float(payments.at_s[row])
        decision = Decision(
            decision_id=f"d-{row}",
            transaction_id=f"t-{row}",
            fraud_probability=probability,
            is_fraud=verdict.is_fraud,
            risk_score=verdict.risk_score,
            risk_level=verdict.risk_level,
            action=verdict.action,
            reasons=[],
            model_version=bundle.model_version,
            scored_at=datetime.fromtimestamp(at_s, UTC).isoformat(),
        )
        record = JournalRecord(
            sequence=row + 1,
            digest=f"{row:016x}",
            schema_digest=SCHEMA.digest,
            received_ms=int(at_s * 1000),
            event_at_s=at_s,
            amount=float(payments.amount[row]),
            values=_values(payments, row),
            derived={},
            model_digest=bundle.digest,
        )
        yield JournalEntry(decision, record, X[row].astype("<f8").tobytes())


def _values(payments: Payments, row: int) -> list[Any]:
    found = {
        "account": f"acc-{payments.account[row]}",
        "at": float(payments.at_s[row]),
        "amount": float(payments.amount[row]),
        "signal": float(payments.signal[row]),
        "kind": str(payments.kind[row]),
    }
    return [found[field.name] for field in SCHEMA.fields]


def _label(payments: Payments, row: int) -> LabelRecord:
    known_at = datetime.fromtimestamp(float(payments.at_s[row]), UTC) + timedelta(days=1)
    return LabelRecord(
        label_id=f"l-{row}",
        decision_id=f"d-{row}",
        is_fraud=bool(payments.fraud[row]),
        source="chargeback",
        known_at=known_at,
        received_at=known_at,
        sequence=1_000_000 + row,
    )
