"""`python -m deploy.launcher.prepare [--development-key]`: what must be there before the workers start.

The ledger's newest tables, and a champion for the schema in use; on a machine of one's own a key for its programs.
Quick when all is there: no science is imported.
"""

from __future__ import annotations

import os
import sys

import click
import redis
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from config.errors import BrokerUnavailable, TollgateError
from config.queue.connections import make_redis
from config.schema.load import load_schema
from config.schema.model import Schema
from config.settings import Settings, load_settings
from deploy.launcher.development_key import ensure_development_key
from deploy.launcher.processes import DEVELOPMENT_KEY_FLAG
from deploy.launcher.valkey import without_password
from ml.ledger import Ledger
from ml.registry import StoredBundle, ensure_champion, promote

BROKER_TIMEOUT_S = 5.0
# Everything that training announces besides one line per candidate.
FIXED_STEPS = 6


def main() -> None:
    """Prepare with the settings of the environment; exit code 2 and one message when that cannot be done."""
    settings = load_settings()
    schema = load_schema(settings.schema_file)
    try:
        migrate(settings, schema, has_development_key=DEVELOPMENT_KEY_FLAG in sys.argv[1:])
        find_champion(settings, schema)
    except TollgateError as error:
        click.echo(f"tollgate: {error}", err=True)
        sys.exit(2)


def migrate(settings: Settings, schema: Schema, *, has_development_key: bool) -> None:
    """Bring the ledger's tables to the newest version, and keep the development key in force.

    Raises LedgerUnavailable.
    """
    ledger = Ledger(settings.database_url, schema=schema)
    ledger.migrate()
    if has_development_key:
        ensure_development_key(settings, ledger)
    ledger.close()


def find_champion(settings: Settings, schema: Schema) -> None:
    """Return when a model for `schema` is the champion; trains one on simulated payments when there is none.

    Raises:
        BrokerUnavailable: the broker cannot be reached.
        ModelRefused: there is no model for this schema, and none can be trained without labelled data.
    """
    client = make_redis(settings, timeout_s=BROKER_TIMEOUT_S)
    try:
        if ensure_champion(client, settings.model_dir, schema.digest) is None:
            promote(client, settings.model_dir, train_with_progress(settings))
    except redis.RedisError as error:
        where = without_password(settings.redis_url)
        raise BrokerUnavailable(f"the broker at {where} does not answer: {error}") from error


def train_with_progress(settings: Settings) -> StoredBundle:
    """Train the first model while a bar says how far it is; plain lines where there is no terminal."""
    # This step has the machine to itself. Both before OpenMP is loaded; spinning threads slow busy cores down.
    os.environ.update(OMP_NUM_THREADS=str(os.cpu_count() or 1), OMP_WAIT_POLICY="PASSIVE")
    # Imported here: a start that finds a model must not pay for the science.
    from ml.training.candidates import QUICK_CANDIDATES
    from ml.training.first import train_first_model

    console = Console()
    columns = (TextColumn("tollgate: first model"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=FIXED_STEPS + len(QUICK_CANDIDATES))

        def say(text: str) -> None:
            if console.is_terminal:
                progress.update(task, advance=1, description=text)
            else:
                click.echo(f"tollgate: first model: {text}")

        bundle = train_first_model(settings, say)
        progress.update(task, completed=FIXED_STEPS + len(QUICK_CANDIDATES), description=bundle.model_version)
    return bundle


if __name__ == "__main__":
    main()
