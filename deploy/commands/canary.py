"""`tollgate canary`: a model decides a share of the traffic, guarded."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from config.settings import load_settings
from deploy.commands.model_desk import open_challenger_desk, operator


@click.command()
@click.argument("model_version", required=False)
@click.option("--share", type=click.FloatRange(0.001, 0.5), default=0.05, show_default=True, help="Of the accounts.")
@click.option("--off", is_flag=True, help="End the canary or shadow that runs.")
def command(model_version: str | None, share: float, off: bool) -> None:
    """Let MODEL_VERSION decide a share of the traffic; running workers follow within a second.

    A canary that breaks a guardrail (errors, latency, alerts, scores: TOLLGATE_GUARD_*) is ended at once.
    """
    if off == bool(model_version):
        raise click.UsageError("give either a MODEL_VERSION or --off")
    with open_challenger_desk(load_settings()) as desk:
        if model_version:
            pointer = desk.canary(model_version, share=share, actor=operator(), now=datetime.now(UTC))
            click.echo(f"canary: {pointer.model_version} decides {pointer.share:g}")
        else:
            ended = desk.end(actor=operator(), now=datetime.now(UTC))
            click.echo(f"ended: {ended.role} {ended.model_version}")
