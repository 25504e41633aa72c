"""The drift check on a real ledger and a real broker: decisions in, report, picture, metrics and a request out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from redis import Redis

from config import names
from config.blobs.choice import blobs_of
from config.contracts import ChampionPointer, Decision, JournalEntry, JournalRecord
from config.queue.blobs import drift_picture
from config.queue.model_jobs import latest_training, write_job
from config.queue.stamps import read_stamp
from config.queue.stats import drift_stats
from config.settings import Settings
from ml.bundle import Bundle
from ml.drift.reference import FILE, encode, make_reference
from ml.ledger import Ledger
from tests.replay_site import HISTORY_EVENTS, Site, save_card_bundle
from workers import drift
from workers.challenger import ask_for_challenger
from workers.drift import COLUMNS_EXPORTED, run_check

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS, PER_DAY = 20, 300


def draw(rng: np.random.Generator, columns: int, n: int) -> np.ndarray:
    X = rng.lognormal(1, 1, (n, columns))
    X[:, 1] = rng.integers(0, 3, n)
    return X


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bundle(model_dir: Path) -> Bundle:
    """A bundle with the reference of 20 days; its twin beside it has none."""
    plain = save_card_bundle(model_dir / "cards-old")
    X = draw(np.random.default_rng(0), len(plain.spec.columns), DAYS * PER_DAY)
    reference = make_reference(
        X,
        plain.score(X),
        names=plain.spec.columns,
        days=np.repeat(np.arange(DAYS), PER_DAY),
        sent={plain.spec.columns.index("kind"): np.ones(len(X), dtype=bool)},
        importances={"amount": 1.0},
    )
    return save_card_bundle(model_dir / "cards-1", attachments={FILE: encode(reference)})


@pytest.fixture
def site(redis_client: Redis, bundle: Bundle, model_dir: Path, tmp_path: Path) -> Iterator[Site]:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=bundle.schema)
    ledger.migrate()
    settings = Settings(history_events=HISTORY_EVENTS, model_dir=model_dir, blob_dir=tmp_path / "blobs")
    yield Site(redis_client, ledger, bundle, settings)
    ledger.close()


def champion(site: Site) -> ChampionPointer:
    return ChampionPointer(site.bundle.model_version, site.bundle.digest, site.bundle.model_version, 1, "")


def decide(site: Site, seed: int, n: int, *, times: float = 1.0, until: datetime = NOW, digest: str = "") -> None:
    """`n` decisions within the hour before `until`, amounts `times` the usual ones."""
    X = draw(np.random.default_rng(seed), len(site.bundle.spec.columns), n)
    X[:, site.bundle.spec.columns.index("amount")] *= times
    scores = site.bundle.score(X).tolist()
    site.ledger.store(
        [_entry(site, f"{seed}-{row}", X[row], scores[row], until, digest or site.bundle.digest) for row in range(n)]
    )


def _entry(site: Site, name: str, features: np.ndarray, score: float, until: datetime, digest: str) -> JournalEntry:
    at = until - timedelta(minutes=10)
    decision = Decision(
        f"d{name}", f"t{name}", score, False, 1, "low", "approve", [], "cards-1", at.isoformat(timespec="milliseconds")
    )
    values = ["c1", "s1", 1.0, at.timestamp(), "fuel", None, None]
    schema = site.bundle.schema.digest
    record = JournalRecord(1, "0" * 16, schema, 1, at.timestamp(), 1.0, values, {}, digest)
    return JournalEntry(decision, record, features.astype("<f8").tobytes())


def test_usual_decisions_make_a_stable_report_with_picture_and_metrics(site: Site) -> None:
    decide(site, 1, 1200)
    decide(site, 2, 50, digest="another bundle")

    number = run_check(site.runtime(), champion(site), now=NOW)

    assert number is not None
    [stored] = site.ledger.drift_reports()
    assert (stored.id, stored.report.status, stored.report.rows) == (number, "stable", 1200)
    assert stored.report.other_models == 50
    with drift_picture(blobs_of(site.settings), number).open() as picture:
        assert picture.read(4) == b"\x89PNG"
    stats = drift_stats(site.client)
    assert stats["checked_at_s"] == NOW.timestamp()
    assert (stats["rows"], stats["columns_drifting"], stats["is_strong"]) == (1200, 0, 0)
    assert stats["score_psi"] == stored.report.score.psi  # type: ignore[union-attr]
    assert 1 <= sum(key.startswith("psi:") for key in stats) <= COLUMNS_EXPORTED


def test_of_very_many_decisions_a_bounded_sample_is_compared(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.drift.window.MOST_ROWS", 600)
    decide(site, 1, 1500)

    run_check(site.runtime(), champion(site), now=NOW)

    [stored] = site.ledger.drift_reports()
    assert (stored.report.decisions, stored.report.rows) == (1500, 500)


def test_lasting_strong_drift_asks_for_a_challenger_once_and_promotes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(drift, "ask_for_challenger", lambda app, _client: not asked.append(app))
    site.client.set(names.CHAMPION, b"untouched")

    for hour in range(4):
        until = NOW + timedelta(hours=hour)
        decide(site, 10 + hour, 600, times=4.0, until=until)
        run_check(site.runtime(), champion(site), now=until)

    reports = site.ledger.drift_reports()
    assert [stored.report.status for stored in reports] == ["strong"] * 4
    assert "amount" in reports[0].report.drifting
    assert [stored.has_asked for stored in reports] == [False, False, True, False]
    assert len(asked) == 1
    assert site.client.get(names.CHAMPION) == b"untouched"
    assert drift_stats(site.client)["is_strong"] == 1


def test_drift_asks_for_a_training_as_a_client_would_but_not_beside_one(site: Site) -> None:
    for hour in range(2):
        until = NOW + timedelta(hours=hour)
        decide(site, 20 + hour, 600, times=4.0, until=until)
        run_check(site.runtime(), champion(site), now=until)

    job = latest_training(site.client)
    assert job is not None
    assert (job.kind, job.status, job.actor) == ("retrain", "queued", "drift")
    [message] = site.client.lrange(names.QUEUE_TRAIN, 0, -1)
    assert read_stamp(message) > 0
    assert ask_for_challenger(site.runtime().app, site.client)
    assert site.client.llen(names.QUEUE_TRAIN) == 1
    # Its worker died having taken the message: after a while the next one asks again.
    site.client.delete(names.QUEUE_TRAIN)
    write_job(site.client, replace(job, requested_at=(datetime.now(UTC) - timedelta(hours=1)).isoformat()))
    assert latest_training(site.client).status == "failed"  # type: ignore[union-attr]
    assert ask_for_challenger(site.runtime().app, site.client)
    assert site.client.llen(names.QUEUE_TRAIN) == 1
    write_job(site.client, replace(job, status="running"))
    site.client.set(names.TRAINING_LOCK, "held", px=60_000)
    assert not ask_for_challenger(site.runtime().app, site.client)


def test_a_bundle_without_reference_is_said_once(site: Site, model_dir: Path) -> None:
    old = ChampionPointer("cards-old", _digest_of(model_dir / "cards-old"), "cards-old", 1, "")

    numbers = [run_check(site.runtime(), old, now=NOW + timedelta(hours=hour)) for hour in range(3)]

    [stored] = site.ledger.drift_reports()
    assert numbers == [stored.id, None, None]
    assert stored.report.status == "no reference"
    assert not drift_picture(blobs_of(site.settings), stored.id).exists()
    assert drift_stats(site.client)["checked_at_s"] == (NOW + timedelta(hours=2)).timestamp()


def test_a_bundle_that_is_gone_and_too_few_decisions_are_statuses(site: Site) -> None:
    gone = ChampionPointer("cards-9", "0" * 64, "cards-9", 1, "")
    decide(site, 1, 100)

    run_check(site.runtime(), gone, now=NOW)
    run_check(site.runtime(), champion(site), now=NOW)

    few, missing = site.ledger.drift_reports()
    assert missing.report.status == "no model"
    assert few.report.status == "too few decisions"
    assert "100 decisions by this model" in few.report.detail


def test_old_reports_go_with_their_pictures(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "KEEP_REPORTS", 2)
    decide(site, 1, 600)

    numbers = [run_check(site.runtime(), champion(site), now=NOW + timedelta(minutes=n)) for n in range(4)]

    assert [stored.id for stored in site.ledger.drift_reports()] == numbers[:1:-1]
    assert sorted(os.listdir(site.settings.blob_dir / "drift")) == [f"{number}.png" for number in numbers[2:]]


def _digest_of(directory: Path) -> str:
    from ml.bundle_files import read_manifest

    return read_manifest(directory)[1]
