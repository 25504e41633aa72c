"""The gate's own acceptance: almost never on stationary data, soon after fraud has changed, never a bad model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from config.schema.load import load_schema, parse_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.features.compiled import Floats
from ml.gate.evidence import Contender, Evidence, Window
from ml.gate.gate import decide
from ml.gate.policy import GatePolicy
from ml.gate.verdict import GateReport, as_text
from ml.simulator import simulate_payments
from ml.training.data import LabelledData, label_frame, read_data
from ml.training.dataset import Dataset
from tests.gate_replay import BUILD, COSTS, DAY_S, Model, Replay, dataset_of, fit

pytestmark = pytest.mark.slow

DRIFT_DAY = 56
NUMBERS = 'name = "numbers"\nversion = 1\n[roles]\nevent_time = "t"\nlabel = "y"\n[fields.t]\ntype = "timestamp"\n'


def leads_to(report: GateReport, name: str) -> str:
    return next(one.leads_to for one in report.checks if one.name == name)


def test_on_stationary_card_data_no_challenger_is_promoted(data_dir_real: Path) -> None:
    schema = load_schema(DEFAULT_SCHEMA.parent / "card.toml")
    data = read_data(data_dir_real / "handbook.parquet", schema)
    # From day 60 on: before that the customers' histories are still filling up.
    rows = slice(575_000, 1_275_000)
    dataset = dataset_of(LabelledData(data.frame.iloc[rows], data.y[rows]), schema, delay_days=7)
    first_s = float(dataset.times.min()) + 50 * DAY_S
    replay = Replay(dataset, delay_days=7, block_days=7, history_days=21)

    reports = list(replay.decisions(first_s, first_s + 3 * 7 * DAY_S))

    outcomes = [report.outcome for report in reports]
    assert len(outcomes) == 3
    assert min(report.frauds for report in reports) > 500
    assert outcomes.count("promote") == 0, "\n".join(map(as_text, reports))


@pytest.fixture(scope="module")
def drifting() -> Replay:
    schema = load_schema(DEFAULT_SCHEMA)
    rng = np.random.default_rng(13)
    frame = simulate_payments(schema, 70_000, rng, days=112, fraud_share=0.03, drift_day=DRIFT_DAY)
    dataset = dataset_of(label_frame(frame, schema), schema, delay_days=7)
    return Replay(dataset, delay_days=7, block_days=14, history_days=42, calibrate_days=14)


@pytest.fixture(scope="module")
def first_drifted_s(drifting: Replay) -> float:
    return float(drifting.dataset.times.min()) + DRIFT_DAY * DAY_S


def test_when_fraud_changes_a_challenger_is_promoted_by_the_third_block(
    drifting: Replay, first_drifted_s: float
) -> None:
    reports = list(drifting.decisions(first_drifted_s, first_drifted_s + 3 * 14 * DAY_S))

    assert "promote" in [report.outcome for report in reports], "\n".join(map(as_text, reports))


@pytest.fixture(scope="module")
def champion(drifting: Replay, first_drifted_s: float) -> Model:
    return drifting.train(first_drifted_s - 7 * DAY_S)


def test_a_challenger_fitted_on_shuffled_labels_is_rejected(
    drifting: Replay, first_drifted_s: float, champion: Model
) -> None:
    block = drifting.rows(first_drifted_s, first_drifted_s + 14 * DAY_S)
    y = drifting.dataset.y.copy()
    past = drifting.dataset.times < first_drifted_s
    y[past] = np.random.default_rng(0).permutation(y[past])
    shuffled = replace(drifting, dataset=replace(drifting.dataset, y=y)).train(first_drifted_s - 7 * DAY_S)

    report = drifting.judge(champion, shuffled, block)

    assert report.outcome == "reject", as_text(report)


def test_a_challenger_that_learned_from_a_leaked_label_is_rejected(
    drifting: Replay, first_drifted_s: float, champion: Model
) -> None:
    block = drifting.rows(first_drifted_s, first_drifted_s + 14 * DAY_S)
    data = drifting.dataset
    leaked = replace(data, X=data.X.copy())
    # In training the last column said who was a fraudster; as served, it does not know yet.
    leaked.X[:, -1] = np.where(data.times < first_drifted_s, data.y, np.nan)
    cheat = replace(drifting, dataset=leaked).train(first_drifted_s - 7 * DAY_S)

    report = replace(drifting, dataset=leaked).judge(champion, cheat, block)

    assert report.outcome == "reject", as_text(report)


def test_a_window_that_training_reached_into_or_that_is_stale_is_rejected(
    drifting: Replay, first_drifted_s: float, champion: Model
) -> None:
    challenger = drifting.train(first_drifted_s - 7 * DAY_S, seed=1)
    seen = drifting.rows(first_drifted_s - 14 * DAY_S, first_drifted_s)
    block = drifting.rows(first_drifted_s, first_drifted_s + 14 * DAY_S)

    overlapping = drifting.judge(champion, challenger, seen)
    stale = drifting.judge(champion, challenger, block, late_days=31)

    assert leads_to(overlapping, "days_since_training") == "reject"
    assert leads_to(stale, "window_age_days") == "reject"
    assert (overlapping.outcome, stale.outcome) == ("reject", "reject")


def test_an_unregularised_model_of_rare_fraud_is_rejected() -> None:
    dataset = rare_fraud(240_000)
    cut = np.array([0.4, 0.5, 1.0]) * len(dataset.y)
    fitted, calibrated, block = (np.arange(int(a), int(b)) for a, b in zip([0, *cut[:-1]], cut, strict=True))
    regularised, collapsed = (fit(dataset, fitted, calibrated, seed=0, collapse=bad) for bad in (False, True))
    X, y = dataset.X[block], dataset.y[block]
    window = Window(y, np.full(len(y), 100.0), np.full(len(y), -1), dataset.days[block], dataset.times[block])
    policy = GatePolicy(label_delay_s=0.0, rounds=50)

    def judged(challenger: Model) -> GateReport:
        linear = challenger.linear.decision_function(X)
        as_of_s = float(window.times.max())
        evidence = Evidence(window, on(regularised, X), on(challenger, X), linear, BUILD, as_of_s=as_of_s)
        return decide(evidence, policy, costs=COSTS, rng=np.random.default_rng(0))

    assert window.frauds >= policy.min_frauds
    assert judged(collapsed).outcome == "reject"
    assert leads_to(judged(collapsed), "gain_over_linear") == "reject"
    assert leads_to(judged(regularised), "gain_over_linear") == "promote"


def on(model: Model, X: Floats) -> Contender:
    return model.on(X, "model")


def rare_fraud(n: int) -> Dataset:
    """Twelve heavy-tailed numbers, 0.2% fraud of four kinds."""
    rng = np.random.default_rng(0)
    y = (rng.random(n) < 0.002).astype(float)
    X = rng.standard_t(4, size=(n, 12))
    kinds = rng.normal(0, 2.5, size=(4, 12)) * (rng.random((4, 12)) < 0.5)
    X[y > 0] += kinds[rng.integers(0, 4, int(y.sum()))]
    frame = pd.DataFrame(X, columns=[f"v{i}" for i in range(12)])
    frame["t"] = pd.date_range("2026-01-01", periods=n, freq="20s", tz="UTC")
    text = NUMBERS + "".join(f'[fields.v{i}]\ntype = "number"\n' for i in range(12))
    schema = parse_schema(text)
    return dataset_of(label_frame(frame.assign(y=y), schema), schema, delay_days=0)
