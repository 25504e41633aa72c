"""The roll-up as the background worker runs it: from labelled decisions in the ledger to GET /quality."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis

from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger
from tests.ledger_entries import entry, label
from web.ledger_reader import LedgerReader
from web.quality import LiveQuality
from workers import background
from workers.background import BackgroundRuntime
from workers.quality import roll_up_plan, roll_up_quality

SCHEMA = load_schema(DEFAULT_SCHEMA)


@pytest.fixture
def installed(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()
    spec = FeatureSpec.from_schema(SCHEMA, settings.history_events)
    runtime = BackgroundRuntime(
        settings=settings, client=Redis(), ledger=ledger, schema=SCHEMA, spec=spec, app=Celery(), worker="b1"
    )
    monkeypatch.setattr(background, "_runtime", runtime)


@pytest.mark.usefixtures("installed")
def test_a_roll_up_brings_labelled_decisions_to_the_page(ledger: Ledger, tmp_path: Path) -> None:
    at = datetime.now(UTC) - timedelta(days=20)
    values = [10.0 if field.name == "amount" else None for field in SCHEMA.fields]
    values[[field.name for field in SCHEMA.fields].index("merchant_category")] = "online"
    ledger.store([
        entry(n, event_at_s=at.timestamp(), schema_digest=SCHEMA.digest, values=values, action=action)
        for n, action in enumerate(["decline", "decline", "approve", "approve"])
    ])  # fmt: skip
    ledger.store_labels([label(n, known_at=at + timedelta(days=1), is_fraud=n in (0, 2)) for n in range(3)])

    roll_up_quality()

    quality = LiveQuality(LedgerReader(ledger, SCHEMA), tmp_path)
    (line,) = quality.report("segment", since=None, until=None, now=datetime.now(UTC)).groups
    assert (line.group, line.maturity) == ("online", "matured")
    assert line.matured is not None
    figures = {name: figure and figure.value for name, figure in line.matured.measures.items()}
    assert (figures["precision"], figures["recall"], figures["accuracy"]) == (0.5, 0.5, 0.5)


def test_the_plan_follows_schema_and_settings() -> None:
    usual = roll_up_plan(SCHEMA, Settings())
    other = roll_up_plan(SCHEMA, Settings(quality_segment_field="merchant_id", quality_top_k=7, label_delay_s=60))

    assert (usual.k, usual.segment, usual.account) == (100, "merchant_category", ("account", "account_id"))
    assert (other.k, other.segment, other.fallback_s) == (7, "merchant_id", 60.0)
