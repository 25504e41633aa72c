"""MLflow gets every run, and its absence costs a warning."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from config.settings import Settings
from ml.bundle_files import write_files
from ml.training.tracking import flat_figures, log_gate, log_missing_runs, mark_champion

REPORT = {
    "schema": "tiny",
    "winner": {"name": "small", "iterations": 5},
    "test": {
        "roc_auc": {"value": 0.9, "low": 0.8, "high": 0.95, "level": 0.95},
        "brier": 0.1,
        "outcome": {"n": 3},
    },
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    files = {"report.json": json.dumps(REPORT).encode(), "report.md": b"# tiny"}
    write_files(tmp_path / "models" / "tiny-1", files, {"model_version": "tiny-1", "schema_digest": "s1"})
    return tmp_path


def test_figures_are_flat_and_intervals_have_ends() -> None:
    assert flat_figures(REPORT) == {
        "roc_auc": 0.9, "roc_auc_low": 0.8, "roc_auc_high": 0.95, "brier": 0.1, "outcome_n": 3.0,
    }  # fmt: skip


def test_mlflow_away_is_a_warning_and_the_run_is_logged_later(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(data_dir=store, mlflow_tracking_uri="http://127.0.0.1:1")

    with caplog.at_level(logging.WARNING):
        assert log_missing_runs(settings) == []

    (said,) = [record.getMessage() for record in caplog.records if record.name == "ml.training.tracking"]
    assert said.startswith("MLflow at http://127.0.0.1:1 does not answer; nothing is lost")
    assert len(said) < 120
    assert not (store / "models" / "mlflow.json").exists()


def test_mlflow_switched_off_is_never_asked(store: Path) -> None:
    assert log_missing_runs(Settings(data_dir=store, mlflow_enabled=False)) == []
    assert not mark_champion(Settings(data_dir=store, mlflow_enabled=False), "tiny-1")
    assert not log_gate(Settings(data_dir=store, mlflow_enabled=False), "tiny-1", "reject", b"{}")


# MLflow's own code paths warn about their future; what matters here is what ends up in the registry.
@pytest.mark.filterwarnings("ignore")
def test_a_run_has_figures_files_and_a_registered_version_with_aliases(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store)
    settings = Settings(data_dir=store, mlflow_tracking_uri=f"sqlite:///{store / 'mlflow.db'}")

    assert log_missing_runs(settings) == ["tiny-1"]
    assert log_missing_runs(settings) == []

    from mlflow.tracking import MlflowClient  # lazily: its import takes seconds

    client = MlflowClient(settings.mlflow_tracking_uri, settings.mlflow_tracking_uri)
    version = client.get_model_version_by_alias("tollgate-tiny", "challenger")
    run = client.get_run(version.run_id)
    assert version.tags["model_version"] == "tiny-1"
    assert run.data.metrics["roc_auc_low"] == 0.8
    assert run.data.params["name"] == "small"
    assert {Path(file.path).name for file in client.list_artifacts(version.run_id, "bundle")} == {
        "manifest.json", "report.json", "report.md",
    }  # fmt: skip
    assert log_gate(settings, "tiny-1", "reject", b'{"outcome": "reject"}')
    assert client.get_run(version.run_id).data.tags["gate"] == "reject"
    assert "gate.json" in {file.path for file in client.list_artifacts(version.run_id)}
    assert mark_champion(settings, "tiny-1")
    assert client.get_registered_model("tollgate-tiny").aliases == {"champion": version.version}
