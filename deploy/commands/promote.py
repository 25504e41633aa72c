"""`tollgate promote`: a challenger becomes the champion, if the gate says so or an operator insists."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from config.settings import load_settings
from deploy.commands.model_desk import open_desk, operator


@click.command()
@click.argument("model_version")
@click.option("--force", is_flag=True, help="Overrule the gate; it is recorded who did.")
def command(model_version: str, force: bool) -> None:
    """Make MODEL_VERSION the champion, if it proves itself on the newest matured labels of the ledger.

    Running workers follow within a second. Exit code 2 with the gate's reasons when it refuses.
    """
    settings = load_settings()
    with open_desk(settings) as desk:
        pointer = desk.promote(model_version, actor=operator(), force=force, now=datetime.now(UTC))
    # Imported here: MLflow's client takes seconds, and a refusal should be told at once.
    from ml.training.tracking import mark_champion

    mark_champion(settings, pointer.model_version)
    click.echo(f"champion: {pointer.model_version}, generation {pointer.generation}")
