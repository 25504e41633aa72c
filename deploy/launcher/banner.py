"""What `tollgate up` prints once it serves: addresses, a request to paste, the logs, how to stop."""

from __future__ import annotations

import json
import shlex

from config.schema.model import Schema
from config.schema.openapi import example
from config.settings import DEFAULT_SCHEMA, Settings
from deploy.launcher.ports import runs_mlflow

SEED_TRANSACTION = {
    "amount": 1500.0,
    "hour": 3,
    "day_of_week": 1,
    "merchant_category": "online",
    "previous_amount": 50.0,
    "time_since_last": 0.5,
}


def banner(settings: Settings, schema: Schema, *, seconds: float) -> str:
    """The text, many lines. `seconds`: how long the start took."""
    url = f"http://localhost:{settings.port}"
    lines = [
        "",
        f"Tollgate is up after {seconds:.1f} s, scoring `{schema.name}` transactions.",
        "",
        f"  decisions    {url}/predict",
        f"  console      {url}/console",
        f"  try it       {url}/docs",
        f"  health       {url}/health",
    ]
    if runs_mlflow(settings):
        lines.append(f"  models       http://localhost:{settings.mlflow_port}  (MLflow, up in a few seconds)")
    if settings.exporter_enabled:
        lines.append(f"  Celery       http://localhost:{settings.exporter_port}/metrics  (celery-exporter)")
    lines += ["", "Score a transaction:", "", f"  {curl(url, transaction(settings, schema))}", ""]
    logs = settings.data_dir / "logs"
    lines += [f"Logs are in {logs}. `tollgate status` says what is up. Ctrl-C stops everything."]
    return "\n".join(lines)


def transaction(settings: Settings, schema: Schema) -> dict[str, object]:
    """The example to paste: for the default schema the payment that every page shows."""
    if settings.schema_file == DEFAULT_SCHEMA.resolve():
        return SEED_TRANSACTION
    return dict(example(schema))


def curl(url: str, body: dict[str, object]) -> str:
    """A command that posts `body`, safe to paste into a shell."""
    header = '-H "Content-Type: application/json"'
    return f'curl -X POST "{url}/predict" {header} -d {shlex.quote(json.dumps(body))}'
