"""Training runs in MLflow: figures, pictures, bundle, a registered model version. Never in the way of
training.

MLflow being away costs a warning and a few seconds: its client is told to give up soon. A run that could
not be logged is logged by the next `log_missing_runs`, because which bundles are logged is kept in the
store itself.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.settings import Settings
from ml.registry import StoredBundle, find_bundles

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

LOGGED_FILE = "mlflow.json"
EXPERIMENT = "tollgate"
_NO_ANSWER = ("Max retries exceeded", "Connection refused", "timed out", "Failed to establish", "Connection aborted")
_LONGEST = 120
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


def log_missing_runs(settings: Settings, schema_digest: str | None = None) -> list[str]:
    """Log every bundle of the store that MLflow does not know yet; the model versions that were logged.

    Fails open: without MLflow it warns and returns what it managed.
    """
    if not settings.mlflow_enabled:
        return []
    logged = _logged(settings.model_dir)
    missing = [b for b in reversed(find_bundles(settings.model_dir, schema_digest)) if b.model_version not in logged]
    done: list[str] = []
    try:
        client = _connect(settings) if missing else None
        for bundle in missing:
            assert client is not None  # noqa: S101  # there is one when anything is missing
            logged[bundle.model_version] = _log_run(client, settings.model_dir, bundle)
            done.append(bundle.model_version)
            _remember(settings.model_dir, logged)
    except Exception as error:
        # MLflow raises whatever its transport does; training and serving must not care.
        log.warning(
            "MLflow at %s %s; nothing is lost, runs that it lacks are logged later", _address(settings), _say(error)
        )
    return done


def mark_champion(settings: Settings, model_version: str) -> bool:
    """Move the alias `champion` to a logged bundle, and `challenger` off it; False when MLflow could not be
    told.
    """
    logged = _logged(settings.model_dir)
    if not settings.mlflow_enabled or model_version not in logged:
        return False
    entry = logged[model_version]
    try:
        client = _connect(settings)
        client.set_registered_model_alias(entry["name"], "champion", entry["version"])
        aliases = client.get_registered_model(entry["name"]).aliases
        if str(aliases.get("challenger")) == entry["version"]:
            client.delete_registered_model_alias(entry["name"], "challenger")
    except Exception as error:
        # Fails open, as above: the pointer in Redis is the truth about the champion.
        log.warning("MLflow at %s %s; its alias `champion` stays where it was", _address(settings), _say(error))
        return False
    return True


def log_gate(settings: Settings, model_version: str, outcome: str, report: bytes) -> bool:
    """Add the gate's decision to a logged run: tag `gate`, artefact `gate.json`; False when that was not possible."""
    entry = _logged(settings.model_dir).get(model_version)
    if not settings.mlflow_enabled or entry is None:
        return False
    try:
        client = _connect(settings)
        client.set_tag(entry["run_id"], "gate", outcome)
        client.log_text(entry["run_id"], report.decode(), "gate.json")
    except Exception as error:
        # Fails open, as above: the report is kept beside the bundle and its outcome in the audit trail.
        log.warning("MLflow at %s: %s: %s", _address(settings), type(error).__name__, error)
        return False
    return True


def _say(error: Exception) -> str:
    """What went wrong in a few words: the texts of its transport run to hundreds of characters."""
    text = str(error)
    if any(word in text for word in _NO_ANSWER):
        return "does not answer"
    return f"failed ({type(error).__name__}: {text.splitlines()[0][:_LONGEST] if text else 'no message'})"


def _connect(settings: Settings) -> MlflowClient:
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    # Imported late: it takes seconds, and it reads the environment above.
    from mlflow.tracking import MlflowClient

    return MlflowClient(_address(settings), _address(settings))


def _address(settings: Settings) -> str:
    return str(settings.mlflow_tracking_uri)


def _log_run(client: MlflowClient, model_dir: Path, bundle: StoredBundle) -> dict[str, str]:
    """One run with its registered model version. Returns the run id, the registered name and the version."""
    directory = model_dir / bundle.path
    report = json.loads((directory / "report.json").read_text())
    tags = {
        "digest": bundle.digest,
        "schema_digest": bundle.schema_digest,
        "model_version": bundle.model_version,
    }
    experiment = _experiment(client)
    run = client.create_run(experiment, run_name=bundle.model_version, tags=tags)
    run_id = run.info.run_id
    for name, value in flat_figures(report).items():
        client.log_metric(run_id, name, value)
    for name, value in report["winner"].items():
        client.log_param(run_id, name, value)
    client.log_artifacts(run_id, str(directory), "bundle")
    client.set_terminated(run_id)
    name = f"tollgate-{report['schema']}"
    _ensure_registered(client, name)
    version = client.create_model_version(
        name, f"{run.info.artifact_uri}/bundle", run_id, tags=tags, await_creation_for=10
    )
    client.set_registered_model_alias(name, report.get("alias", "challenger"), version.version)
    return {"run_id": run_id, "name": name, "version": str(version.version)}


def _experiment(client: MlflowClient) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    return str(found.experiment_id if found else client.create_experiment(EXPERIMENT))


def _ensure_registered(client: MlflowClient, name: str) -> None:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description="Fraud models trained by Tollgate; bundle as artefact.")


def flat_figures(report: dict[str, Any]) -> dict[str, float]:
    """The numbers of the report's test window by name, intervals as `_low` and `_high`."""
    flat: dict[str, float] = {}
    for name, value in report["test"].items():
        parts = value if isinstance(value, dict) else {"value": value}
        for part, number in parts.items():
            if isinstance(number, (int, float)) and part != "level":
                flat[name if part == "value" else f"{name}_{part}"] = float(number)
    return flat


def _logged(model_dir: Path) -> dict[str, dict[str, str]]:
    try:
        known: dict[str, dict[str, str]] = json.loads((model_dir / LOGGED_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return known


def _remember(model_dir: Path, logged: dict[str, dict[str, str]]) -> None:
    staged = model_dir / f".{LOGGED_FILE}.{os.getpid()}"
    staged.write_text(json.dumps(logged, indent=2))
    os.replace(staged, model_dir / LOGGED_FILE)
