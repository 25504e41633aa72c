"""Training as users run it: any labelled file becomes a bundle that scores as the offline pipeline says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from redis import Redis

from config import names
from config.errors import ModelRefused, PromotionRefused, SchemaInvalid, TrainingRunning, UnknownId
from config.schema.load import load_schema, parse_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from deploy.commands.promote import command as promote_command
from deploy.commands.rollback import command as rollback_command
from deploy.commands.train import command
from ml.bundle import load_bundle
from ml.bundle_files import read_manifest
from ml.decisions import explain
from ml.drift.bins import CategoryBins
from ml.drift.reference import load_reference
from ml.gate.gate import decide
from ml.gate.policy import GatePolicy
from ml.ledger import Ledger
from ml.offline_scoring import offline_probabilities
from ml.promotion.desk import Desk, Retrained
from ml.registry import find_bundles, read_champion, stored_champion
from ml.training import selection
from ml.training.blend import Blend
from ml.training.candidates import Candidate
from ml.training.data import label_frame, read_data
from ml.training.first import train_first_model
from ml.training.run import place
from ml.training.train import TrainingOptions, TrainingResult, train
from tests.gate_evidence import evidence
from workers.training_lock import training_lock

DAY_S = 86_400.0
FEW = (
    Candidate("small", 60, 0.1, 8, 10.0, 20),
    Candidate("additive", 120, 0.1, 3, 10.0, 20, native_values=0),
)
NUMBERS = """
name = "numbers"
version = 1
[roles]
event_time = "t"
label = "y"
[fields.t]
type = "timestamp"
format = "unix"
"""


def run(schema_text: str, frame: pd.DataFrame, store: Path, **options: Any) -> TrainingResult:
    data = label_frame(frame, parse_schema(schema_text))
    chosen = TrainingOptions(**{"label_delay_s": 7 * DAY_S, "candidates": FEW, **options})
    return train(schema_text, data, store, chosen, now=datetime(2026, 5, 1, tzinfo=UTC), say=lambda _: None)


def test_the_card_data_trains_above_its_baseline_and_serves_what_the_offline_pipeline_says(
    data_dir_real: Path, tmp_path: Path
) -> None:
    schema_file = DEFAULT_SCHEMA.parent / "card.toml"
    schema = load_schema(schema_file)
    data = read_data(data_dir_real / "handbook.parquet", schema)
    frame = data.frame.iloc[:120_000].assign(TX_FRAUD=data.y[:120_000])

    result = run(schema_file.read_text(), frame, tmp_path)

    test = result.report["test"]
    assert test["gain"]["value"] > 0
    assert test["roc_auc"]["value"] > 0.75
    assert test["card_precision_at_k"]["mean"] > 0.3 * test["card_precision_at_k"]["ceiling"] > 0
    sample = frame.iloc[:3000]
    offline = offline_probabilities(result.bundle, sample)
    X = _served(result, sample)
    np.testing.assert_allclose(result.bundle.score(X), offline, rtol=0, atol=1e-9)


def _served(result: TrainingResult, frame: pd.DataFrame) -> np.ndarray:
    """X as the scoring worker makes it, each row from the packed logs of what came before."""
    spec, featurizer = result.bundle.spec, result.bundle.featurizer
    logs: dict[tuple[str, str], list[bytes]] = {}
    rows, histories, times = [], [], []
    for row in frame.itertuples(index=False):
        sent = row._asdict()
        sent["TX_DATETIME"] = sent["TX_DATETIME"].timestamp()
        values = [sent.get(field.name) for field in spec.schema.fields]
        rows.append(values)
        times.append(sent["TX_DATETIME"])
        seen = []
        for entity in spec.entities:
            log = logs.setdefault((entity.name, str(entity.key(values))), [])
            seen.append((b"".join(log[-spec.history_events :]), b""))
            log.append(spec.record(entity, values, times[-1]))
        histories.append(seen)
    return np.asarray(featurizer.assemble(rows, histories, times).X)


def test_rare_fraud_among_anonymous_numbers_does_not_make_the_model_collapse(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 60_000
    y = (rng.random(n) < 0.002).astype(int)
    X = rng.standard_t(4, size=(n, 30))
    X[y == 1, :6] += rng.normal(2.5, 1, size=(int(y.sum()), 6)) * rng.choice([-1, 1], size=6)
    frame = pd.DataFrame(X, columns=[f"v{i}" for i in range(30)]).assign(t=np.arange(n) * 3.0, y=y)
    text = NUMBERS + "".join(f'[fields.v{i}]\ntype = "number"\n' for i in range(30))

    result = run(text, frame, tmp_path)

    assert result.report["test"]["roc_auc"]["value"] > 0.95
    assert result.report["test"]["average_precision"]["value"] > 0.6
    assert result.report["test"]["card_precision_at_k"] is None


def test_half_missing_mixed_columns_do_not_lose_to_the_linear_baseline(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    n = 12_000
    Z = rng.normal(size=(n, 25))
    frame = pd.DataFrame(np.where(rng.random(Z.shape) < 0.5, np.nan, Z), columns=[f"n{i}" for i in range(25)])
    effects = rng.normal(size=2000)
    codes = rng.integers(0, 2000, n)
    for number in range(5):
        frame[f"c{number}"] = pd.Series(codes if number == 0 else rng.integers(0, 5 * 4**number, n)).astype(str)
        frame.loc[rng.random(n) < 0.5, f"c{number}"] = None
    logit = Z[:, 0] + Z[:, 1] * Z[:, 2] + np.abs(Z[:, 3]) + effects[codes] - 4.5
    frame = frame.assign(empty=np.nan, same=1.0, t=np.arange(n), y=rng.random(n) < 1 / (1 + np.exp(-logit)))
    numbers = [*(f"n{i}" for i in range(25)), "empty", "same"]
    text = NUMBERS + "".join(f'[fields.{name}]\ntype = "number"\nmissing = true\n' for name in numbers)
    text += "".join(f'[fields.c{i}]\ntype = "category"\nmissing = true\n' for i in range(5))

    result = run(text, frame, tmp_path)

    assert result.report["test"]["gain"]["value"] > -0.01
    assert any("counts rows" in note for note in result.report["notes"])
    assert any("'empty'" in note for note in result.report["notes"])


def linear_payments(n: int = 12_000, seed: int = 100) -> pd.DataFrame:
    """About 1.5% fraud, whose log-odds are a straight line in three of six numbers."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    y = rng.random(n) < 1 / (1 + np.exp(4.9 - X[:, :3] @ [1.0, 0.7, 0.4]))
    return pd.DataFrame(X, columns=list("abcdef")).assign(t=1.75e9 + np.arange(n) * 600.0, y=y)


SIX = NUMBERS + "".join(f'[fields.{name}]\ntype = "number"\n' for name in "abcdef")


def test_a_linear_truth_gets_a_model_that_is_as_good_as_the_linear_baseline(tmp_path: Path) -> None:
    result = run(SIX, linear_payments(), tmp_path)

    test = result.report["test"]
    assert test["gain"]["value"] >= -0.05 * test["linear_average_precision"]
    frame = linear_payments().iloc[:500]
    probability = result.bundle.reference(frame[list("abcdef")].to_numpy())
    np.testing.assert_allclose(result.bundle.score(frame[list("abcdef")].to_numpy()), probability, atol=1e-9)


def test_a_boosted_model_that_falls_behind_on_the_test_window_gives_way_to_the_linear_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "choose_blend", lambda trees, *_, **__: Blend(trees))
    wild = (Candidate("wild", 200, 0.5, 31, 0.0, 5),)

    result = run(SIX, linear_payments(), tmp_path, candidates=wild)

    assert result.report["winner"]["name"] == "linear model"
    assert abs(result.report["test"]["gain"]["value"]) < 0.005
    assert any("looked at twice" in note for note in result.report["notes"])
    assert result.bundle.metadata["winner"] == "linear model"


def test_fraud_that_ended_long_ago_makes_a_model_that_is_held_back(tmp_path: Path) -> None:
    frame = linear_payments()
    frame["y"] = frame["y"] & ((np.arange(len(frame)) < 7000) | (np.arange(len(frame)) % 900 < 40))
    settings = Settings(data_dir=tmp_path, redis_url="redis://127.0.0.1:1/0", mlflow_enabled=False)

    result = run(SIX, frame, settings.model_dir)
    placement = place(settings, result)

    assert placement.standing == "held back"
    assert find_bundles(settings.model_dir)[0].held_back
    assert stored_champion(settings.model_dir) is None
    assert "LOSES MONEY" in result.report["warnings"][0]
    assert "**Warning:**" in (result.directory / "report.md").read_text()


def test_a_label_that_nothing_predicts_is_refused_and_nothing_is_published(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"a": rng.normal(size=6000), "t": np.arange(6000), "y": rng.random(6000) < 0.05})

    with pytest.raises(ModelRefused, match=r"(?s)guessing.*nothing was published.*final: .*What usually helps"):
        run(NUMBERS + '[fields.a]\ntype = "number"\n', frame, tmp_path / "store")

    assert not (tmp_path / "store").exists()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("first"), mlflow_enabled=False)
    stored = train_first_model(settings, say=lambda _: None)
    return settings, settings.model_dir / stored.path


def test_the_first_model_tells_the_default_schemas_fraud_without_any_history(
    first: tuple[Settings, Path],
) -> None:
    bundle = load_bundle(first[1])
    sent = {
        "hour": 3,
        "day_of_week": 1,
        "merchant_category": "online",
        "previous_amount": 50.0,
        "time_since_last": 0.5,
    }
    rows = [
        [({"amount": amount} | sent).get(field.name) for field in bundle.schema.fields] for amount in (20.0, 1500.0)
    ]
    nothing = [[(b"", b"")] * len(bundle.spec.entities)] * 2

    X = bundle.featurizer.assemble(rows, nothing, [1.767e9, 1.767e9]).X
    usual, large = bundle.score(X)

    assert large > 10 * usual
    reasons = explain(bundle, X[1], bundle.contributions(X)[1], 3)
    assert "AMOUNT_HIGH" in {reason.code for reason in reasons}


def test_the_report_and_its_pictures_are_in_the_bundle(first: tuple[Settings, Path]) -> None:
    names = {path.name for path in first[1].iterdir()}

    assert names == {
        "bundle.joblib", "manifest.json", "golden.json", "report.json", "report.md", "calibration.png",
        "precision_recall.png", "reference.json",
    }  # fmt: skip
    assert (first[1] / "calibration.png").read_bytes().startswith(b"\x89PNG")
    assert "linear baseline" in (first[1] / "report.md").read_text()


def test_the_bundle_keeps_what_its_newest_training_data_looked_like(first: tuple[Settings, Path]) -> None:
    _, digest = read_manifest(first[1])

    reference = load_reference(first[1], digest)

    assert reference is not None
    assert reference.by_day
    assert [column.name for column in reference.columns] == list(load_bundle(first[1]).spec.columns)
    assert 20_000 < reference.rows < 60_000
    assert all(column.spread.rows == reference.rows for column in [*reference.columns, reference.score])
    assert sum(column.importance for column in reference.columns) == pytest.approx(1, abs=0.01)
    category = next(column for column in reference.columns if column.name == "merchant_category")
    assert isinstance(category.bins, CategoryBins)
    assert category.spread.correlation < 0.05


def test_a_schema_that_is_not_about_payments_gets_no_first_model(tmp_path: Path) -> None:
    schema_file = tmp_path / "other.toml"
    schema_file.write_text(NUMBERS + '[fields.a]\ntype = "number"\n')

    with pytest.raises(ModelRefused, match="tollgate train --schema"):
        train_first_model(Settings(data_dir=tmp_path, schema_file=schema_file), say=lambda _: None)


def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str, rows: int = 8000) -> Result:
    """`tollgate train` on a small file of anonymous numbers, MLflow switched off."""
    rng = np.random.default_rng(3)
    y = rng.random(rows) < 0.03
    frame = pd.DataFrame({"a": rng.normal(size=rows) + 2 * y, "t": np.arange(rows), "y": y.astype(int)})
    frame.to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "s.toml").write_text(NUMBERS + '[fields.a]\ntype = "number"\n')
    monkeypatch.setenv("TOLLGATE_REDIS_URL", redis_url)
    monkeypatch.setenv("TOLLGATE_MLFLOW_ENABLED", "false")
    arguments = ["--schema", "s.toml", "--data", "d.csv", "--out", "store", "--label-delay", "1d"]
    monkeypatch.chdir(tmp_path)
    return CliRunner().invoke(command, arguments)


def test_the_first_model_of_a_schema_is_promoted_and_the_next_waits_as_challenger(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_client: Redis, redis_url: str
) -> None:
    first_run = invoke(monkeypatch, tmp_path, redis_url)
    pointer = read_champion(redis_client)
    second_run = invoke(monkeypatch, tmp_path, redis_url)

    assert first_run.exit_code == 0, first_run.output
    assert "average precision" in first_run.output
    assert pointer is not None
    assert pointer.model_version in first_run.output
    assert "--schema s.toml --out store" in second_run.output
    assert read_champion(redis_client) == pointer


def test_training_works_while_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = invoke(monkeypatch, tmp_path, "redis://127.0.0.1:1/0")

    assert result.exit_code == 0, result.output
    assert "from the next start on" in result.output
    assert stored_champion(tmp_path / "store") is not None


def test_too_few_frauds_end_the_command_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = invoke(monkeypatch, tmp_path, "redis://127.0.0.1:1/0", rows=300)

    assert result.exit_code != 0
    assert isinstance(result.exception, ModelRefused)
    assert "labelled frauds" in str(result.exception)


def test_a_schema_file_that_is_not_there_is_told_without_a_traceback(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--schema", str(tmp_path / "nowhere.toml"), "--data", "d.csv"])

    assert isinstance(result.exception, SchemaInvalid)


def on_the_ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str) -> Result:
    """`tollgate train` without a file, on an empty ledger."""
    monkeypatch.setenv("TOLLGATE_REDIS_URL", redis_url)
    monkeypatch.setenv("TOLLGATE_MLFLOW_ENABLED", "false")
    monkeypatch.chdir(tmp_path)
    return CliRunner().invoke(command, [])


def test_training_on_an_empty_ledger_is_refused_and_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_client: Redis, redis_url: str
) -> None:
    result = on_the_ledger(monkeypatch, tmp_path, redis_url)

    assert isinstance(result.exception, ModelRefused)
    assert Ledger(f"sqlite:///{tmp_path / '.tollgate' / 'ledger.db'}").model_events()[0].action == "training_failed"
    assert not redis_client.exists(names.TRAINING_LOCK)


def test_training_on_the_ledger_prints_what_the_gate_decided(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_client: Redis, redis_url: str
) -> None:
    report = decide(evidence(), GatePolicy(rounds=20), rng=np.random.default_rng(0))
    monkeypatch.setattr(Desk, "retrain", lambda *_args, **_more: Retrained("payment-2", report, None))

    result = on_the_ledger(monkeypatch, tmp_path, redis_url)

    assert result.exit_code == 0, result.output
    assert "payment-2" in result.output
    assert "average_precision_gain" in result.output
    with training_lock(redis_client):
        assert isinstance(on_the_ledger(monkeypatch, tmp_path, redis_url).exception, TrainingRunning)


def test_a_challenger_without_evidence_is_promoted_by_force_only_and_rolled_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_client: Redis, redis_url: str
) -> None:
    invoke(monkeypatch, tmp_path, redis_url)
    invoke(monkeypatch, tmp_path, redis_url)
    before = read_champion(redis_client)
    assert before is not None
    (challenger,) = [b for b in find_bundles(tmp_path / "store") if b.digest != before.digest]

    ours = ["--schema", "s.toml", "--out", "store"]
    refused = CliRunner().invoke(promote_command, [challenger.model_version, *ours])
    untouched = read_champion(redis_client)
    result = CliRunner().invoke(promote_command, [challenger.model_version, *ours, "--force"])
    unknown = CliRunner().invoke(promote_command, ["nobody"])

    assert isinstance(refused.exception, PromotionRefused)
    assert untouched == before
    assert result.exit_code == 0, result.output
    after = read_champion(redis_client)
    assert after is not None
    assert (after.digest, after.generation) == (challenger.digest, before.generation + 1)
    assert isinstance(unknown.exception, UnknownId)
    monkeypatch.setenv("TOLLGATE_MODEL_DIR", "store")
    monkeypatch.setenv("TOLLGATE_SCHEMA_FILE", "s.toml")
    back = CliRunner().invoke(rollback_command)
    assert back.exit_code == 0, back.output
    assert before.model_version in back.output
