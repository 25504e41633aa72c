"""The loop from the ledger to a new champion: trained on what was served, judged by the gate, recorded, undone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from redis import Redis

from config import names
from config.errors import ModelRefused, PromotionRefused, UnknownId
from config.queue.model_jobs import ModelJob, latest_job, read_job
from config.schema.load import load_schema
from config.schema.model import Schema
from config.settings import Settings
from ml.bundle import load_bundle
from ml.bundle_files import write_files
from ml.features.frame import fit_vocabularies
from ml.features.spec import FeatureSpec
from ml.gate.verdict import GateReport
from ml.ledger import LabelRecord, Ledger
from ml.promotion.desk import Desk
from ml.promotion.judging import judge, read_matured
from ml.promotion.shadowed import ShadowScores, paired_rows
from ml.promotion.trail import Trail
from ml.quality.roll_up import learn_label_delay
from ml.registry import StoredBundle, promote, read_champion
from ml.training.candidates import QUICK_CANDIDATES
from ml.training.data import label_frame
from ml.training.served import ServedRows, read_served
from ml.training.train import TrainingOptions, train
from tests.served_ledger import label, serve, simulated
from workers.model_jobs import run_job
from workers.training_lock import training_lock

pytestmark = pytest.mark.slow

DAYS = 112.0
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=DAYS + 16)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("loop"), mlflow_enabled=False)


@pytest.fixture(scope="module")
def schema(settings: Settings) -> Schema:
    return load_schema(settings.schema_file)


@pytest.fixture(scope="module")
def frame(schema: Schema) -> pd.DataFrame:
    """Fraud gets a new pattern after a third of the time."""
    return simulated(schema, 50_000, days=DAYS, drift_day=40)


@pytest.fixture(scope="module")
def spec(schema: Schema, settings: Settings) -> FeatureSpec:
    return FeatureSpec.from_schema(schema, settings.history_events)


@pytest.fixture(scope="module")
def ledger(settings: Settings, schema: Schema, frame: pd.DataFrame, spec: FeatureSpec) -> Iterator[Ledger]:
    filled = Ledger(settings.database_url, schema=schema)
    filled.migrate()
    serve(filled, frame, spec, fit_vocabularies(frame.iloc[:500], spec))
    label(filled, frame)
    yield filled
    filled.close()


@pytest.fixture(scope="module")
def first(settings: Settings, schema: Schema, frame: pd.DataFrame) -> StoredBundle:
    """A model from the time before fraud changed."""
    early = frame[frame["timestamp"] < START + timedelta(days=40)]
    options = TrainingOptions(7 * 86_400.0, settings.history_events, candidates=QUICK_CANDIDATES[:1])
    text = settings.schema_file.read_text()
    result = train(text, label_frame(early, schema), settings.model_dir, options, now=NOW, say=lambda _: None)
    return StoredBundle(result.model_version, result.digest, result.directory.name, schema.digest)


@pytest.fixture(scope="module")
def rows(settings: Settings, schema: Schema, ledger: Ledger) -> ServedRows:
    """What has matured by now."""
    return read_matured(settings, ledger, schema, as_of=NOW)


@pytest.fixture
def desk(settings: Settings, schema: Schema, ledger: Ledger, redis_client: Redis, first: StoredBundle) -> Desk:
    """The first model is the champion."""
    promote(redis_client, settings.model_dir, first)
    return Desk(settings, redis_client, ledger, schema)


def test_retraining_replaces_a_model_that_fraud_has_left_behind_and_rollback_brings_it_back(
    desk: Desk, first: StoredBundle, redis_client: Redis
) -> None:
    made = desk.retrain(actor="beat", now=NOW, say=lambda _: None)

    assert made.report is not None
    assert made.report.outcome == "promote", made.report.reasons
    champion = read_champion(redis_client)
    assert champion is not None
    assert champion.model_version == made.model_version
    newest = desk.ledger.model_events(1)[0]
    assert (newest.action, newest.actor, newest.from_version) == ("promoted", "beat", first.model_version)
    assert newest.reasons == made.report.reasons
    kept = json.loads((desk.settings.model_dir / made.model_version / "gate.json").read_bytes())
    assert kept["outcome"] == "promote"
    load_bundle(desk.settings.model_dir / made.model_version, digest=champion.digest)

    with pytest.raises(PromotionRefused, match="the gate says reject"):
        desk.promote(first.model_version, actor="operator", now=NOW)
    assert read_champion(redis_client) == champion
    assert desk.ledger.model_events(1)[0].action == "rejected"

    watched = desk.slot.current()
    assert watched is not None
    assert (watched.role, watched.model_version) == ("watch", first.model_version)

    back = desk.roll_back(actor="operator", now=NOW)
    assert back.model_version == first.model_version
    assert back.generation == champion.generation + 1
    assert desk.ledger.model_events(1)[0].action == "rolled_back"
    assert desk.slot.current() is None
    with pytest.raises(UnknownId, match="audit trail"):
        desk.roll_back(actor="operator", now=NOW)

    forced = desk.force(made.model_version, actor="operator", now=NOW)
    assert forced.model_version == made.model_version
    assert desk.ledger.model_events(1)[0].reasons == ["forced: the gate was not asked"]


def test_what_is_read_from_the_ledger_is_what_was_served_and_had_matured(
    desk: Desk, schema: Schema, spec: FeatureSpec, frame: pd.DataFrame
) -> None:
    as_of = NOW - timedelta(days=60)

    rows = read_served(desk.ledger, schema, spec, as_of=as_of, label_delay_s=7 * 86_400.0, policy="explicit")

    known = frame[(frame["timestamp"] <= as_of - timedelta(days=7)) & (frame["known_at"] <= as_of)]
    assert len(rows.y) == len(known)
    assert rows.y.sum() == known["is_fraud"].sum()
    np.testing.assert_allclose(rows.times, [at.timestamp() for at in known["timestamp"]])
    vocabularies = fit_vocabularies(frame, spec)
    X = rows.matrix(vocabularies, slice(0, 200))
    code = spec.columns.index("merchant_category")
    assert X[:, code].tolist() == [vocabularies["merchant_category"][c] for c in known["merchant_category"][:200]]
    assert X[:, spec.columns.index("amount")].tolist() == known["amount"][:200].tolist()
    assert any("have no label" in note for note in rows.notes)


def test_where_labels_are_chargebacks_silence_is_genuine_except_of_a_decline(
    schema: Schema, spec: FeatureSpec, frame: pd.DataFrame, tmp_path: Path
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=schema)
    ledger.migrate()
    vocabularies = fit_vocabularies(frame, spec)
    approved, declined = frame.iloc[:6], frame.iloc[6:10]
    serve(ledger, approved, spec, vocabularies)
    serve(ledger, declined, spec, vocabularies, action="decline")
    label(ledger, pd.concat([frame.iloc[:1], frame.iloc[6:7]]).assign(is_fraud=1))
    delay_s = (NOW - frame["timestamp"].iloc[4].to_pydatetime()).total_seconds()  # the sixth is a moment too young

    given = {"as_of": NOW, "label_delay_s": delay_s}
    chargebacks = read_served(ledger, schema, spec, policy="chargebacks", **given)
    explicit = read_served(ledger, schema, spec, policy="explicit", **given | {"label_delay_s": 0.0})

    assert chargebacks.y.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert "taken for genuine: 4 matured transactions without a label" in chargebacks.notes
    assert explicit.y.tolist() == [1.0, 1.0]
    assert "left out: 3 declines have no label: nothing proves what they were" in explicit.notes
    ledger.close()


def test_training_and_live_quality_take_the_same_decisions_for_matured(desk: Desk) -> None:
    learned = learn_label_delay(desk.ledger.quality, NOW, 1.0).delay

    rows = read_matured(desk.settings, desk.ledger, desk.schema, as_of=NOW)

    assert learned.is_learned
    assert rows.label_delay_s == learned.delay_s
    assert rows.times.max() <= NOW.timestamp() - learned.delay_s


def test_a_later_label_wins_and_one_that_was_not_known_yet_does_not_count(
    settings: Settings, schema: Schema, spec: FeatureSpec, frame: pd.DataFrame, tmp_path: Path
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=schema)
    ledger.migrate()
    few = frame.iloc[:3]
    serve(ledger, few, spec, fit_vocabularies(few, spec))
    label(ledger, few.assign(is_fraud=0))
    changed = {"is_fraud": True, "source": "chargeback", "received_at": NOW}
    for number, known_at in ((0, NOW - timedelta(days=1)), (1, NOW + timedelta(days=1))):
        name = few["transaction_id"].iloc[number]
        ledger.store_label(
            LabelRecord(label_id=f"late-{number}", decision_id=f"d-{name}", known_at=known_at, sequence=9, **changed)
        )

    rows = read_served(ledger, schema, spec, as_of=NOW, label_delay_s=0.0)

    assert rows.y.tolist() == [1.0, 0.0, 0.0]
    ledger.close()


def test_rows_of_another_schema_or_without_features_are_left_out_and_counted(
    schema: Schema, spec: FeatureSpec, frame: pd.DataFrame, tmp_path: Path
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=schema)
    ledger.migrate()
    serve(ledger, frame.iloc[:5], spec, fit_vocabularies(frame, spec), schema_digest="another")

    rows = read_served(ledger, schema, spec, as_of=NOW, label_delay_s=0.0)

    assert len(rows.y) == 0
    assert "left out: 5 decisions were made under another schema" in rows.notes
    with pytest.raises(ModelRefused, match="0 frauds to train on"):
        rows.dataset()
    ledger.close()


def test_what_exploration_let_through_stands_for_what_it_held_back(
    schema: Schema, spec: FeatureSpec, frame: pd.DataFrame, tmp_path: Path
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=schema)
    ledger.migrate()
    vocabularies = fit_vocabularies(frame, spec)
    plain, let_through, held_back = frame.iloc[:3], frame.iloc[3:5], frame.iloc[5:9]
    serve(ledger, plain, spec, vocabularies)
    serve(ledger, let_through, spec, vocabularies, propensity=0.05)
    serve(ledger, held_back, spec, vocabularies, propensity=0.95, action="decline")
    label(ledger, frame.iloc[:9])

    rows = read_served(ledger, schema, spec, as_of=NOW, label_delay_s=0.0)

    assert rows.weight is not None
    assert sorted(rows.weight) == pytest.approx([1.0, 1.0, 1.0, 20.0, 20.0])
    assert "left out: 4 declines were held back by exploration" in rows.notes
    ledger.close()


def test_too_few_labels_are_recorded_and_change_nothing(desk: Desk, redis_client: Redis) -> None:
    before = read_champion(redis_client)

    with pytest.raises(ModelRefused, match="do not reach"):
        desk.retrain(actor="beat", now=NOW - timedelta(days=DAYS - 10), say=lambda _: None)

    assert read_champion(redis_client) == before
    assert desk.ledger.model_events(1)[0].action == "training_failed"


def test_an_old_block_is_stale_evidence(desk: Desk, first: StoredBundle, rows: ServedRows) -> None:
    champion = desk.champion()
    assert champion is not None

    report = judge(desk.settings, rows, champion, first, as_of=NOW + timedelta(days=60))

    assert report.outcome == "reject"
    assert any(reason.startswith("window_age_days") for reason in report.reasons)


def test_a_challenger_is_judged_by_what_it_said_at_the_time_where_that_is_enough(
    desk: Desk, first: StoredBundle, rows: ServedRows
) -> None:
    champion = desk.champion()
    assert champion is not None
    newest = np.flatnonzero(rows.times > rows.times.max() - 20 * 86_400)
    blurred = np.clip(0.03 + 0.3 * rows.y[newest] + np.random.default_rng(3).normal(0, 0.2, len(newest)), 0.001, 0.99)
    sharp = np.clip(0.01 + 0.9 * rows.y[newest] + np.random.default_rng(4).normal(0, 0.1, len(newest)), 0.001, 0.99)
    ids = rows.decided.transaction_ids[newest]
    scores = ShadowScores(
        champion.digest, "c" * 64, dict(zip(ids, blurred, strict=True)), dict(zip(ids, sharp, strict=True))
    )

    report = judge(desk.settings, rows, champion, first, as_of=NOW, shadows=scores)
    few = replace(scores, challenger=dict(list(scores.challenger.items())[:50]))

    assert report.judged_on == "shadow_scores"
    assert paired_rows(rows, few, min_frauds=desk.settings.gate_min_frauds) is None
    assert (report.rows, report.frauds) == (len(newest), int(rows.y[newest].sum()))
    gain = next(check for check in report.checks if check.name == "average_precision_gain")
    assert gain.passed
    assert report.profile is not None
    assert sum(report.profile.bins) == len(newest)


def test_a_shadow_that_has_its_evidence_is_judged_by_it_once_and_leaves_the_slot(
    desk: Desk, first: StoredBundle, frame: pd.DataFrame, rows: ServedRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shadow said the same as the champion everywhere: nothing is shown, and it has had its chance."""
    champion = desk.champion()
    assert champion is not None
    twin = desk.settings.model_dir / "twin"
    about = {"model_version": "twin", "schema_digest": desk.schema.digest}
    digest = write_files(twin, {"gate.json": b"{}"}, about)
    desk.slot.put(StoredBundle("twin", digest, "twin", desk.schema.digest), "shadow", champion=champion, now=NOW)
    said = dict.fromkeys(frame["transaction_id"][-20000:], 0.02)
    asked: list[str] = []

    def report_of(stored: StoredBundle, *_: object, **__: object) -> GateReport:
        asked.append(stored.model_version)
        return GateReport(
            outcome="keep_shadowing",
            champion=first.model_version,
            challenger="twin",
            decided_at="now",
            window_from_s=0.0,
            window_until_s=1.0,
            rows=1,
            frauds=1,
            checks=[],
            judged_on="shadow_scores",
        )

    monkeypatch.setattr(Ledger, "shadow_scores", lambda *_: said)
    monkeypatch.setattr(Desk, "judge", lambda _desk, stored, *more, **named: report_of(stored, *more, **named))

    assert desk._settle_shadow(rows, Trail(desk.ledger, "beat", NOW)) is None

    assert (asked, desk.slot.current()) == (["twin"], None)
    assert desk.ledger.model_events(1)[0].action == "kept_shadowing"


def test_two_trainings_never_run_at_once_and_a_dead_one_lets_go(redis_client: Redis) -> None:
    with training_lock(redis_client):
        job = ModelJob(job_id="j2", kind="retrain", status="queued", actor="api", requested_at="2026-01-01T00:00:00Z")
        done = run_job(redis_client, job, lambda _: _locked(redis_client))
        ttl_ms = redis_client.pttl(names.TRAINING_LOCK)

    assert (done.status, done.code) == ("refused", "training_running")
    assert 0 < ttl_ms <= 60_000
    assert not redis_client.exists(names.TRAINING_LOCK)
    assert latest_job(redis_client, "retrain") == read_job(redis_client, "j2") == done


def test_the_lock_is_renewed_while_its_holder_works(redis_client: Redis) -> None:
    with training_lock(redis_client, lifetime_s=0.6):
        redis_client.pexpire(names.TRAINING_LOCK, 300)
        deadline = datetime.now(UTC) + timedelta(seconds=20)
        while redis_client.pttl(names.TRAINING_LOCK) <= 300:
            assert datetime.now(UTC) < deadline

    assert not redis_client.exists(names.TRAINING_LOCK)


def _locked(client: Redis) -> dict[str, object]:
    with training_lock(client):
        return {}


def test_a_crash_in_a_job_is_written_down_and_raised(redis_client: Redis) -> None:
    job = ModelJob(job_id="j3", kind="promote", status="queued", actor="api", requested_at="2026-01-01T00:00:00Z")

    def crash(_: ModelJob) -> dict[str, object]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_job(redis_client, job, crash)

    stored = read_job(redis_client, "j3")
    assert stored is not None
    assert (stored.status, stored.detail) == ("failed", "ZeroDivisionError")
    assert run_job(redis_client, stored, crash) == stored
    assert msgspec.json.decode(msgspec.json.encode(stored), type=ModelJob) == stored
