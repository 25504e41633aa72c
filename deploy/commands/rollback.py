"""`tollgate rollback`: back to the model that the champion replaced."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from config.settings import load_settings
from deploy.commands.model_desk import open_desk, operator


@click.command()
def command() -> None:
    """Make the model that the champion replaced the champion again. Running workers follow within a second."""
    settings = load_settings()
    with open_desk(settings) as desk:
        pointer = desk.roll_back(actor=operator(), now=datetime.now(UTC))
    click.echo(f"champion: {pointer.model_version}, generation {pointer.generation}")
    # Imported here: MLflow's client takes seconds, and the swap must not wait for it.
    from ml.training.tracking import mark_champion

    mark_champion(settings, pointer.model_version)
