"""`tollgate up`: the whole of Tollgate on this machine, in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from config.loopback import is_loopback
from config.schema.load import load_schema
from config.schema.model import Schema
from config.settings import Settings, load_settings
from deploy.launcher import processes
from deploy.launcher.banner import banner
from deploy.launcher.child import rotate_logs
from deploy.launcher.lock import hold_lock
from deploy.launcher.ports import needed_ports, require_free
from deploy.launcher.stack import Stack
from deploy.launcher.supervisor import StopRequested, Supervisor
from deploy.launcher.tether import Tether

# Longer than the guardian of a killed launcher needs to stop what that one left behind.
PATIENCE_S = 60.0
OWNER_ALONE = 0o077
"""Payments, logs and models are files: what any process makes from now on, others on this machine cannot read."""
PATHS = ("data_dir", "model_dir", "blob_dir", "schema_file", "policy_file", "exporter_venv")
SCHEMA_PATH = click.Path(exists=True, dir_okay=False, path_type=Path)
DATA_PATH = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--schema", type=SCHEMA_PATH, help="Schema file to serve [TOLLGATE_SCHEMA_FILE].")
@click.option("--host", help="Address the web server binds [TOLLGATE_HOST].")
@click.option("--auth", is_flag=True, help="Ask every request for an API key or token [TOLLGATE_AUTH=required].")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the web server [TOLLGATE_PORT].")
@click.option("--workers", type=click.IntRange(1, 256), help="Scoring workers [TOLLGATE_SCORING_WORKERS].")
@click.option("--data-dir", type=DATA_PATH, help="Where the data is [TOLLGATE_DATA_DIR].")
@click.option("--with-parent", is_flag=True, help="Stop when the parent process is gone (for make).")
def command(
    schema: Path | None,
    host: str | None,
    auth: bool,
    port: int | None,
    workers: int | None,
    data_dir: Path | None,
    with_parent: bool,
) -> None:
    """Start everything on this machine and keep it running.

    Valkey, scoring workers, the background worker, beat, the web server, MLflow and the celery-exporter, all
    on loopback, data under .tollgate/. The first start trains a model from simulated payments. Ctrl-C stops
    all. Nobody is asked for credentials, since nobody else reaches it; --auth asks, and .tollgate/dev-key opens.
    """
    overrides = {
        "schema_file": schema,
        "host": host,
        "auth": "required" if auth else None,
        "port": port,
        "scoring_workers": workers,
        "data_dir": data_dir,
    }
    given = {name: value for name, value in overrides.items() if value is not None}
    settings = absolute(load_settings(**given))
    run(settings, load_schema(settings.schema_file), parent=os.getppid() if with_parent else None)


def absolute(settings: Settings) -> Settings:
    """The same settings with every local path made absolute: children must not depend on where they run."""
    places = {name: getattr(settings, name).resolve() for name in PATHS}
    url = settings.database_url
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        places["database_url"] = f"sqlite:///{Path(url.removeprefix('sqlite:///')).resolve()}"
    return settings.model_copy(update=places)


def run(settings: Settings, schema: Schema, *, parent: int | None) -> None:
    """Run the stack until a stop is asked for; returns when everything has stopped.

    Raises:
        SettingInvalid: a port is busy, another launcher uses the data directory, or other machines would reach a
            stack that asks nobody who they are. Nothing was started.
        StartFailed: a process does not start. Everything has been stopped.
    """
    _require_credentials(settings)
    os.umask(OWNER_ALONE)
    lock = hold_lock(settings.data_dir / "run" / "lock", patience_s=PATIENCE_S)
    require_free(needed_ports(settings))
    log_dir = settings.data_dir / "logs"
    log_dir.mkdir(parents=True, exist_ok=True)
    rotate_logs(log_dir)
    supervisor = Supervisor(
        log_dir=log_dir,
        environment=processes.environment(settings, os.environ),
        groups=Tether(lock),
        say=say,
        parent=parent,
    )
    _stop_on_signals(supervisor)
    _serve(settings, schema, supervisor)


def _require_credentials(settings: Settings) -> None:
    if is_loopback(settings.host):
        return
    # Imported here: the usual start needs no database in this process.
    from ml.ledger import Ledger
    from web.auth.exposure import require_credentials, stored_keys

    ledger = Ledger(settings.database_url)
    try:
        require_credentials(settings, lambda: stored_keys(ledger.keys) or [], datetime.now(UTC))
    finally:
        ledger.close()


def _stop_on_signals(supervisor: Supervisor) -> None:
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # ignored under nohup: it shall outlive its terminal
        numbers.append(signal.SIGHUP)
    for number in numbers:
        signal.signal(number, lambda _number, _frame: supervisor.request_stop())


def _serve(settings: Settings, schema: Schema, supervisor: Supervisor) -> None:
    began = time.monotonic()
    try:
        with contextlib.suppress(StopRequested):
            stack = Stack(settings, supervisor, say)
            stack.start()
            click.echo(banner(settings, schema, seconds=time.monotonic() - began))
            stack.watch()
        say("stopping")
    finally:
        supervisor.stop()
    say("stopped: everything that was accepted is kept, the next start finds it again")


def say(line: str) -> None:
    """One line about what the launcher does."""
    # The terminal may be gone (SIGHUP): everything must still be stopped in order.
    with contextlib.suppress(OSError):
        click.echo(f"tollgate: {line}")
