"""A small card bundle and everything between a row and the ledger, without processes: what replay tests serve with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from celery import Celery
from redis import Redis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from config import names
from config.celery_app import make_celery
from config.contracts import LabelEntry, ScoreRow
from config.schema.load import parse_schema
from config.settings import Settings
from ml.bundle import Bundle, BundleContents, load_bundle, save_bundle
from ml.calibration import Sigmoid
from ml.decisions import Thresholds
from ml.extra_columns import ExtraColumns
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger
from ml.policy import Policy
from workers.background import BackgroundRuntime
from workers.bulk.store import BulkStore
from workers.journal import JournalDrain
from workers.labels import _record
from workers.pair import PairScorer
from workers.scorer import BatchScorer
from workers.store import Finished, TransactionStore

SCHEMA = """
name = "cards"
version = 1

[roles]
amount = "amount"
event_time = "at"
label = "fraud"
entities = { card = "card", shop = "shop" }

[fields.card]
type = "id"
required = false

[fields.shop]
type = "id"
required = false

[fields.amount]
type = "number"
required = false

[fields.at]
type = "timestamp"
required = false

[fields.kind]
type = "category"
required = false

[fields.hour]
type = "integer"
derived = { calendar = "hour" }

[fields.previous_amount]
type = "number"
derived = { entity = "card", aggregate = "last", of = "amount" }

[features.card_count_24h]
entity = "card"
aggregate = "count"
window = "24h"

[features.card_amount_mean_7d]
entity = "card"
aggregate = "mean"
window = "7d"

[features.shop_kinds_30d]
entity = "shop"
aggregate = "distinct"
of = "kind"
window = "30d"

[features.shop_fraud_rate_30d]
entity = "shop"
aggregate = "fraud_rate"
window = "30d"
"""
HISTORY_EVENTS = 8
VOCABULARY = {"online": 0, "grocery": 1, "fuel": 2}


def save_card_bundle(
    directory: Path,
    *,
    schema_text: str = SCHEMA,
    attachments: dict[str, bytes] | None = None,
    vocabulary: dict[str, int] = VOCABULARY,
    seed: int = 3,
) -> Bundle:
    """Publish a model of random trees over the schema's columns and load it."""
    spec = FeatureSpec.from_schema(parse_schema(schema_text), HISTORY_EVENTS)
    rng = np.random.default_rng(seed)
    X = rng.lognormal(1, 2, (600, len(spec.columns)))
    X[rng.random(X.shape) < 0.2] = np.nan
    y = np.nansum(X * rng.random(X.shape[1]), axis=1) + rng.normal(0, 5, 600) > 40
    trees = HistGradientBoostingClassifier(max_iter=12, max_depth=4, early_stopping=False).fit(X, y)
    contents = BundleContents(
        schema_text=schema_text,
        history_events=HISTORY_EVENTS,
        vocabularies={"kind": vocabulary},
        pipeline=Pipeline([("columns", ExtraColumns((), ())), ("trees", trees)]),
        calibrator=Sigmoid(0.9, -0.2),
        thresholds=Thresholds(0.3, 0.8),
        typical=np.nanmedian(X, axis=0),
    )
    digest = save_bundle(directory, contents, golden_rows=X[:8], attachments=attachments)
    return load_bundle(directory, digest=digest)


@dataclass
class Site:
    """Serves rows on a real broker as the workers do, and moves what they leave into a ledger."""

    client: Redis
    ledger: Ledger
    bundle: Bundle
    settings: Settings
    _served: int = 0
    _app: Celery = field(init=False)

    def __post_init__(self) -> None:
        self._app = make_celery(self.settings, "bulk")
        self._store = TransactionStore(self.client, self.settings)
        self._bulk = BulkStore(self.client, self.settings, self._app, self._store)
        self.scorer: BatchScorer | PairScorer = BatchScorer(self.bundle, Policy(), explain_above=0.5, reasons_max=3)

    def row(self, values: list[Any], *, transaction_id: str = "") -> ScoreRow:
        """A row as the web side would send it: `values` in the schema's order."""
        self._served += 1
        return ScoreRow(transaction_id or f"t{self._served}", f"{self._served:016x}", 0, 1_767_225_600_000, values)

    def finish(self, rows: list[ScoreRow]) -> list[Finished]:
        """Observe and score, nothing stored yet."""
        return self.scorer.finish(self._store.observe(rows, self.bundle.spec))

    def serve(self, rows: list[ScoreRow]) -> None:
        """Observe, score and commit as one interactive batch."""
        self.commit(self.finish(rows))

    def commit(self, finished: list[Finished]) -> None:
        """Store what `finish` scored."""
        self._store.commit(finished, reply_to="", batch_id=0)

    def serve_in_bulk(self, rows: list[ScoreRow]) -> None:
        """The same as a chunk of a bulk batch."""
        observed = self._bulk.observe(rows, self.bundle.spec)
        self._bulk.commit(self.scorer.finish(observed))

    def drain(self) -> None:
        """Move both journals into the ledger."""
        for stream in (names.JOURNAL, names.JOURNAL_BULK):
            JournalDrain(
                self.client, self.ledger, self.bundle.schema, self.settings, consumer="test", stream=stream
            ).run(30)

    def label(self, transaction_id: str, *, is_fraud: bool, known_at_s: float, label_id: str) -> None:
        """A label of a decision in the ledger arrives, as the background worker records it."""
        stored = self.ledger.decision_by_transaction(transaction_id)
        assert stored is not None
        label = LabelEntry(
            label_id, is_fraud, "chargeback", known_at_s, known_at_s, stored.decision.decision_id, transaction_id
        )
        _record(self.runtime(), label, f"label:{label_id}")

    def runtime(self) -> BackgroundRuntime:
        """What a background worker holds."""
        return BackgroundRuntime(
            settings=self.settings,
            client=self.client,
            ledger=self.ledger,
            schema=self.bundle.schema,
            spec=self.bundle.spec,
            app=self._app,
            worker="test",
        )
