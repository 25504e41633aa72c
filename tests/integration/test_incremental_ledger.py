"""The incremental model on a ledger that fills up: each label once, judged as then, through crashes and restarts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from celery import Celery
from redis import Redis
from scipy.special import expit
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from config import names
from config.schema.load import load_schema
from config.schema.model import Schema
from config.settings import Settings
from ml.bundle import Bundle, load_bundle
from ml.calibration import SMALLEST
from ml.features.frame import assemble_frame
from ml.features.spec import FeatureSpec
from ml.incremental.learner import State
from ml.incremental.store import CURRENT, FOLDER
from ml.ledger import LabelRecord, Ledger
from ml.promotion import incremental
from ml.promotion.desk import Desk
from ml.promotion.incremental import learn_from_ledger, stored_state, take_step
from ml.registry import StoredBundle, find_bundles, promote
from ml.training.candidates import QUICK_CANDIDATES
from ml.training.data import label_frame
from ml.training.train import TrainingOptions, train
from tests.served_ledger import label, serve, simulated
from tests.servers import RunningValkey
from workers import training_runtime
from workers.incremental import learn_labels
from workers.training_lock import training_lock
from workers.training_runtime import TrainingRuntime

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS, DELAY, EVERY = 60, 5 * DAY, 5 * DAY
CRASH_DAY = 25


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=tmp_path_factory.mktemp("incremental"), mlflow_enabled=False, label_delay_fixed=True,
        label_delay_s=int(DELAY.total_seconds()),        incremental_publish_steps=5, gate_min_frauds=10_000,
    )  # fmt: skip


@pytest.fixture(scope="module")
def schema(settings: Settings) -> Schema:
    return load_schema(settings.schema_file)


@pytest.fixture(scope="module")
def frame(schema: Schema) -> pd.DataFrame:
    return simulated(schema, 5_500, days=float(DAYS), seed=3)


@pytest.fixture(scope="module")
def first(settings: Settings, schema: Schema) -> StoredBundle:
    """A champion from other payments."""
    options = TrainingOptions(7 * 86_400.0, 128, candidates=QUICK_CANDIDATES[:1], is_simulated=True)
    data = label_frame(simulated(schema, 6_000, days=60.0, seed=5), schema)
    result = train(settings.schema_file.read_text(), data, settings.model_dir, options, now=START, say=str)
    return StoredBundle(result.model_version, result.digest, result.directory.name, schema.digest)


@dataclass
class Life:
    """The ledger day by day: what arrived, what was answered, what the learner was after each step."""

    desk: Desk
    frame: pd.DataFrame
    spec: FeatureSpec
    champion: Bundle
    until: datetime = START
    states: list[State] = field(default_factory=list)
    answered: dict[str, float] = field(default_factory=dict)

    def go_on(self, now: datetime, *, crashes: bool) -> None:
        """Payments and chargebacks arrive and are answered by the newest edition; then a step, from what is on the
        disk. `crashes`: the first attempt dies when all is learned and nothing kept.
        """
        at, known = self.frame["timestamp"], self.frame["known_at"]
        new = self.frame[(at > self.until) & (at <= now)]
        if len(new):
            vocabularies = self.champion.featurizer.vocabularies
            serve(self.desk.ledger, new, self.spec, vocabularies)
            self.answer(new, assemble_frame(new, self.spec, vocabularies, is_fraud=None, label_delay_s=0.0))
        label(self.desk.ledger, self.frame[(known > self.until) & (known <= now) & (self.frame["is_fraud"] == 1)])
        self.until = now
        if crashes:
            die_before_it_is_kept(self.desk, now)
        take_step(self.desk, now=now)
        self.states.append(stored_state(self.desk.settings, self.desk.schema))

    def answer(self, new: pd.DataFrame, X: np.ndarray) -> None:
        editions = self.states[-1].editions if self.states else ()
        if editions:
            scores = editions[-1].log_odds(self.champion, X)
            self.answered |= dict(zip(new["transaction_id"], scores.tolist(), strict=True))


@pytest.fixture(scope="module")
def ledger(settings: Settings, schema: Schema) -> Iterator[Ledger]:
    opened = Ledger(settings.database_url, schema=schema)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def desk(
    settings: Settings, schema: Schema, ledger: Ledger, first: StoredBundle, valkey: RunningValkey
) -> Iterator[Desk]:
    with Redis.from_url(valkey.url, socket_timeout=5) as client:
        client.flushall()
        promote(client, settings.model_dir, first)
        yield Desk(settings, client, ledger, schema)


@pytest.fixture(scope="module")
def life(desk: Desk, frame: pd.DataFrame, first: StoredBundle) -> Life:
    champion = load_bundle(desk.settings.model_dir / first.path)
    life = Life(desk, frame, champion.spec, champion)
    for number in range(EVERY.days, DAYS + 16, EVERY.days):
        life.go_on(START + number * DAY, crashes=number == CRASH_DAY)
    return life


def die_before_it_is_kept(desk: Desk, now: datetime) -> None:
    """A step that is killed at the worst moment."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(incremental, "save_state", die)
        with pytest.raises(KeyboardInterrupt):
            take_step(desk, now=now)


def truth(life: Life) -> pd.DataFrame:
    """What the last step could know, told without the learner: the rows that were there two looks ago, matured or
    reported.
    """
    frame, looked = life.frame, life.until - EVERY
    reported = (frame["is_fraud"] == 1) & (frame["known_at"] <= looked)
    matured = (frame["timestamp"] <= life.until - DELAY) & (frame["timestamp"] <= looked)
    settled = frame.assign(y=reported.astype(float))[(reported & (frame["timestamp"] <= looked)) | matured]
    return settled.assign(score=settled["transaction_id"].map(life.answered))


def test_every_decision_is_learned_once_with_what_it_turned_out_to_be(life: Life) -> None:
    lessons, expected = life.states[-1].memory.lessons, truth(life)

    assert len(lessons) == len(set(lessons.ids.tolist())) == len(expected)
    assert lessons.y.sum() == expected["y"].sum() > 100


def test_the_prequential_record_is_what_a_count_from_scratch_gives(life: Life) -> None:
    expected = truth(life)
    week = expected["timestamp"].dt.tz_localize(None).dt.to_period("W-SUN").dt.start_time
    matured = expected["timestamp"] <= life.until - DELAY
    scored = expected[matured & expected["score"].notna()].groupby(week)
    record = life.states[-1].record

    assert len(record) == scored.ngroups >= 3
    for monday, rows in scored:
        found = record[monday.date().isoformat()]
        probability = np.clip(expit(rows["score"]), SMALLEST, 1 - SMALLEST)
        assert (found.rows, found.frauds) == (len(rows), int(rows["y"].sum()))
        assert found.incremental.average_precision == pytest.approx(
            average_precision_score(rows["y"], rows["score"]), rel=1e-9
        )
        assert found.incremental.roc_auc == pytest.approx(roc_auc_score(rows["y"], rows["score"]), rel=1e-9)
        assert found.incremental.log_loss == pytest.approx(log_loss(rows["y"], probability), rel=1e-9)
        assert found.served.log_loss == pytest.approx(log_loss(rows["y"], np.full(len(rows), 0.1)), rel=1e-9)


def test_the_same_look_at_the_ledger_makes_the_same_edition(life: Life, desk: Desk) -> None:
    before = life.states[CRASH_DAY // EVERY.days - 2]

    (once, count), (again, _) = (
        learn_from_ledger(before, desk, life.champion, now=START + CRASH_DAY * DAY) for _ in range(2)
    )

    assert count > 0
    assert once.editions[-1].number == before.editions[-1].number + 1
    assert np.array_equal(once.editions[-1].coef, again.editions[-1].coef)
    assert once.memory.lessons.ids.tolist() == again.memory.lessons.ids.tolist()


def test_a_second_label_of_a_known_fraud_teaches_nothing_and_an_overturned_one_is_learned_anew(
    life: Life, desk: Desk
) -> None:
    fraud = next(life.frame[life.frame["is_fraud"] == 1].itertuples()).transaction_id
    row = desk.ledger.decision_by_id(f"d-{fraud}")
    assert row is not None
    said = {"decision_id": f"d-{fraud}", "source": "chargeback", "received_at": life.until, "sequence": 9}
    state, now = stored_state(desk.settings, desk.schema), life.until

    def look() -> int:
        nonlocal state, now
        now += DAY
        state, count = learn_from_ledger(state, desk, life.champion, now=now)
        return count

    def verdicts() -> list[float]:
        return state.memory.lessons.y[state.memory.lessons.ids == row.id].tolist()

    for _ in range(2):
        look()  # what had arrived before
    assert verdicts() == [1.0]
    for name in ("twice", "twice", "thrice"):
        desk.ledger.store_label(LabelRecord(label_id=name, is_fraud=True, known_at=life.until, **said))
    assert (look(), look()) == (0, 0)
    desk.ledger.store_label(LabelRecord(label_id="over", is_fraud=False, known_at=life.until + DAY, **said))
    assert (look(), look()) == (0, 1)
    assert verdicts() == [0.0]


def test_bundles_are_published_and_the_gate_is_asked_about_those_that_are_old_enough(life: Life, desk: Desk) -> None:
    published = [one for one in find_bundles(desk.settings.model_dir) if "-incremental-" in one.model_version]
    asked = [event for event in desk.ledger.model_events(50) if event.actor == "incremental"]

    assert len(published) >= 2
    bundle = load_bundle(desk.settings.model_dir / published[0].path, digest=published[0].digest)
    edition = life.states[-1].editions[-1]
    assert bundle.metadata["champion"] == edition.champion
    assert {event.action for event in asked} == {"shadow_started", "kept_shadowing"}
    assert any(reason.startswith("matured_frauds") for event in asked for reason in event.reasons)


def test_a_bundle_scores_as_its_edition_does(life: Life, desk: Desk) -> None:
    version = next(one for one in find_bundles(desk.settings.model_dir) if "-incremental-" in one.model_version)
    bundle = load_bundle(desk.settings.model_dir / version.path)
    number = bundle.metadata["edition"]
    edition = next(one for one in life.states[-1].editions if one.number == number)
    X = life.states[-1].memory.lessons.shown(life.spec, life.champion.featurizer.vocabularies)

    log_odds, scores = edition.log_odds(life.champion, X), bundle.score(X)

    order = np.argsort(log_odds)
    assert np.all(np.diff(scores[order]) >= -1e-12)


def test_the_task_takes_a_step_unless_another_one_is_running(
    life: Life, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = TrainingRuntime(desk.settings, desk.client, desk.schema, Celery(set_as_current=False))
    monkeypatch.setattr(training_runtime, "_runtime", runtime)
    before = life.states[-1].seen_at

    with training_lock(desk.client, name=names.INCREMENTAL_LOCK):
        learn_labels()
    assert stored_state(desk.settings, desk.schema).seen_at == before

    learn_labels()
    assert stored_state(desk.settings, desk.schema).seen_at > before
    assert not desk.client.exists(names.INCREMENTAL_LOCK)


def test_a_state_that_was_tampered_with_is_not_unpickled(life: Life, desk: Desk) -> None:
    folder = desk.settings.model_dir / FOLDER
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (state,) = (path for path in kept if path.name == "state.joblib")
    state.write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")

    found = stored_state(desk.settings, desk.schema)
    state.write_bytes(kept[state])

    assert (found.steps, found.editions) == (0, ())
    assert stored_state(desk.settings, desk.schema).steps > 0
    assert (folder / CURRENT).exists()
