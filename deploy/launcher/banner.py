"""What `tollgate up` prints once it serves: addresses, a request to paste, the logs, how to stop."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from config.loopback import is_loopback
from config.schema.model import Schema
from config.schema.openapi import example
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from deploy.access import DEVELOPMENT_KEY
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
    key = development_key(settings)
    shown = key if settings.auth == "required" else None
    lines += ["", "Score a transaction:", "", f"  {curl(url, transaction(settings, schema), key=shown)}", ""]
    lines += [*_who_comes_in(settings, key), ""]
    logs = settings.data_dir / "logs"
    lines += [f"Logs are in {logs}. `tollgate status` says what is up. Ctrl-C stops everything."]
    return "\n".join(lines)


def transaction(settings: Settings, schema: Schema) -> dict[str, object]:
    """The example to paste: for the default schema the payment that every page shows."""
    if settings.schema_file == DEFAULT_SCHEMA.resolve():
        return SEED_TRANSACTION
    return dict(example(schema))


def development_key(settings: Settings) -> Path | None:
    """The file with the development key; None where other machines reach the stack, and it counts for nothing."""
    return settings.data_dir / DEVELOPMENT_KEY if is_loopback(settings.host) else None


def _who_comes_in(settings: Settings, key: Path | None) -> list[str]:
    if settings.auth == "required":
        opens = f"{key} opens everything on this machine" if key else "the development key counts for nothing here"
        return [f"Every request must show an API key or token; {opens}.", "`tollgate keys` makes others."]
    return [
        f"Open: no request is asked for credentials, and only this machine reaches {settings.host}.",
        f"The development key is in {key}; `tollgate up --auth` asks for keys.",
    ]


def curl(url: str, body: dict[str, object], *, key: Path | None = None) -> str:
    """A command that posts `body`, safe to paste into a shell; it shows the key in the file `key`."""
    header = '-H "Content-Type: application/json"'
    if key is not None:
        header += f' -H "Authorization: Bearer $(cat {shlex.quote(str(key))})"'
    return f'curl -X POST "{url}/predict" {header} -d {shlex.quote(json.dumps(body))}'
