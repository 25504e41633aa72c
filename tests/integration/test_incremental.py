"""The incremental model on simulated payments whose fraud changes: it starts as the champion, learns, and is judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.metrics import average_precision_score

from config.schema.load import load_schema
from config.schema.model import Schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.bundle import Bundle, load_bundle
from ml.features.compiled import Floats, Integers
from ml.gate.evidence import Contender, Evidence
from ml.gate.gate import decide
from ml.gate.policy import GatePolicy
from ml.gate.verdict import GateReport, as_text
from ml.incremental.edition import first_edition
from ml.incremental.learner import State, fresh_state, go_on, take_in
from ml.incremental.lessons import Lessons
from ml.incremental.publish import newest_lesson_s, publish
from ml.ledger.judged import RowIds
from ml.ledger.settled import Horizon
from ml.training.candidates import QUICK_CANDIDATES
from ml.training.data import label_frame
from ml.training.train import TrainingOptions, train
from tests.gate_replay import BUILD, COSTS, DAY_S, Replay, dataset_of
from tests.served_ledger import simulated

pytestmark = pytest.mark.slow

DAYS, DRIFT_DAY, TRAINED_DAY, DELAY_DAYS = 112, 70, 28, 7
JUDGED = {"before": (49, 70), "after": (91, 112)}
"""Days of the blocks that the gate judges on; a bundle is published a delay before each."""


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(DEFAULT_SCHEMA)


@pytest.fixture(scope="module")
def frame(schema: Schema) -> pd.DataFrame:
    return simulated(schema, 44_000, days=float(DAYS), seed=13, drift_day=DRIFT_DAY)


@pytest.fixture(scope="module")
def replay(schema: Schema, frame: pd.DataFrame) -> Replay:
    dataset = dataset_of(label_frame(frame, schema), schema, delay_days=DELAY_DAYS)
    return Replay(dataset, delay_days=DELAY_DAYS, block_days=21, history_days=28)


@pytest.fixture(scope="module")
def champion(schema: Schema, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    early = frame[frame["timestamp"] < frame["timestamp"].iloc[0] + pd.Timedelta(days=TRAINED_DAY)]
    options = TrainingOptions(DELAY_DAYS * DAY_S, 128, candidates=QUICK_CANDIDATES[:1])
    store = tmp_path_factory.mktemp("store")
    result = train(
        DEFAULT_SCHEMA.read_text(), label_frame(early, schema), store, options, now=datetime.now(UTC), say=str
    )
    return result.bundle


def day(replay: Replay, number: float) -> float:
    return float(replay.dataset.times.min()) // DAY_S * DAY_S + number * DAY_S


def lessons_of(replay: Replay, frame: pd.DataFrame, champion: Bundle, rows: Integers) -> Lessons:
    data = replay.dataset
    texts = {name: frame[name].to_numpy(dtype=object)[rows] for name in data.spec.categories}
    lessons = Lessons(
        ids=rows, X=data.X[rows], texts=texts, y=data.y[rows], times=data.times[rows], scored_s=data.times[rows],
        amount=frame["amount"].to_numpy()[rows], served=np.zeros(len(rows)), weight=np.ones(len(rows)),
        lot=np.random.default_rng(1).random(len(data.y))[rows], score=np.full(len(rows), np.nan),
    )  # fmt: skip
    served = champion.score(lessons.shown(champion.spec, champion.featurizer.vocabularies))
    return replace(lessons, served=served)


@pytest.fixture(scope="module")
def states(replay: Replay, frame: pd.DataFrame, champion: Bundle) -> dict[int, State]:
    """The state after each step, by day: a step every other day, on what is older than the delay."""
    state, found = fresh_state(replay.dataset.spec, "chargebacks"), {}
    last_s = day(replay, TRAINED_DAY - DELAY_DAYS)
    for number in range(TRAINED_DAY + 2, DAYS + DELAY_DAYS + 1, 2):
        until_s = day(replay, number - DELAY_DAYS)
        lessons = lessons_of(replay, frame, champion, replay.rows(last_s, until_s))
        horizon = Horizon(RowIds(0, 0), datetime.fromtimestamp(until_s, UTC))
        state = take_in(state, lessons, horizon, lambda _: champion)
        found[number] = state = go_on(state, champion, now_s=day(replay, number))
        last_s = until_s
    return found


def test_the_first_edition_says_what_the_champion_says(
    states: dict[int, State], champion: Bundle, replay: Replay, frame: pd.DataFrame
) -> None:
    edition = first_edition(champion, states[DRIFT_DAY].memory, number=0, since_s=0.0)
    assert edition is not None
    lessons = lessons_of(replay, frame, champion, replay.rows(day(replay, 40), day(replay, 60)))
    said = edition.log_odds(champion, lessons.shown(champion.spec, champion.featurizer.vocabularies))

    difference = said - logit(lessons.served)
    assert np.abs(difference).mean() < 0.05


def average_precision(state: State, replay: Replay, from_day: float, until_day: float) -> tuple[float, float]:
    """Of the incremental model and of what was served, over the decisions of these days that have met their truth."""
    lessons = state.memory.lessons
    inside = (lessons.times >= day(replay, from_day)) & (lessons.times < day(replay, until_day))
    rows = lessons.take(inside & np.isfinite(lessons.score))
    return average_precision_score(rows.y, rows.score), average_precision_score(rows.y, rows.served)


def test_it_learns_the_new_fraud_that_the_frozen_champion_misses(states: dict[int, State], replay: Replay) -> None:
    last = states[max(states)]
    before, frozen_before = average_precision(last, replay, 42, DRIFT_DAY)
    after, frozen_after = average_precision(last, replay, 91, DAYS)

    assert before > frozen_before - 0.02
    assert after > frozen_after + 0.03


def judged(
    states: dict[int, State], replay: Replay, frame: pd.DataFrame, champion: Bundle, block: str, store: Path
) -> GateReport:
    """The bundle published a delay before a block, against the champion, on the block."""
    from_day, until_day = JUDGED[block]
    state = states[from_day - DELAY_DAYS]
    stored = publish(state, champion, DEFAULT_SCHEMA.read_text(), store, now=datetime.now(UTC))
    assert stored is not None
    challenger = load_bundle(store / stored.path, digest=stored.digest)
    rows = replay.rows(day(replay, from_day), day(replay, until_day))
    lessons = lessons_of(replay, frame, champion, rows)
    window = replay.window(rows)
    until_s = challenger.metadata["trained_until_s"]
    assert until_s == newest_lesson_s(state)
    evidence = Evidence(
        window,
        Contender("champion", lessons.served, champion.thresholds, None),
        on(challenger, lessons, until_s),
        np.zeros(len(rows)),
        BUILD,
        as_of_s=window.end_s + DELAY_DAYS * DAY_S,
    )
    policy = GatePolicy(label_delay_s=DELAY_DAYS * DAY_S, rounds=100)
    return decide(evidence, policy, costs=COSTS, rng=np.random.default_rng(0))


def on(bundle: Bundle, lessons: Lessons, until_s: float) -> Contender:
    X: Floats = lessons.shown(bundle.spec, bundle.featurizer.vocabularies)
    return Contender("challenger", bundle.score(X), bundle.thresholds, until_s)


def test_the_gate_promotes_it_after_the_change_and_not_before(
    states: dict[int, State], replay: Replay, frame: pd.DataFrame, champion: Bundle, tmp_path: Path
) -> None:
    stationary, drifted = (judged(states, replay, frame, champion, block, tmp_path) for block in JUDGED)

    assert stationary.outcome != "promote", as_text(stationary)
    assert drifted.outcome == "promote", as_text(drifted)
