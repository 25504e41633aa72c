"""`tollgate shadow`: a model scores beside the champion and decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from config.settings import load_settings
from deploy.commands.model_desk import open_challenger_desk, operator


@click.command()
@click.argument("model_version", required=False)
@click.option("--off", is_flag=True, help="End the shadow or canary that runs.")
def command(model_version: str | None, off: bool) -> None:
    """Let MODEL_VERSION score everything that the champion decides; running workers load it within a second.

    Its scores are kept in the ledger, and the gate judges it by them once enough labels have arrived.
    """
    if off == bool(model_version):
        raise click.UsageError("give either a MODEL_VERSION or --off")
    with open_challenger_desk(load_settings()) as desk:
        if model_version:
            pointer = desk.shadow(model_version, actor=operator(), now=datetime.now(UTC))
            click.echo(f"shadow: {pointer.model_version}")
        else:
            ended = desk.end(actor=operator(), now=datetime.now(UTC))
            click.echo(f"ended: {ended.role} {ended.model_version}")
