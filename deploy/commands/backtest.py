"""`tollgate backtest`: what other thresholds, another policy file or another model would have done."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from config.settings import load_settings
from deploy.backtest_view import changed_rows, show_backtest
from deploy.commands.model_desk import known_champion, open_desk
from deploy.commands.thresholds import cost_option, progress_bar, thresholds_in_force
from deploy.pictures import kind_of, write_picture
from ml.policy import Policy, load_policy
from ml.policy_in_force import policy_in_force
from ml.thresholds import Thresholds

if TYPE_CHECKING:
    from ml.backtest.report import Backtest
    from ml.backtest.run import Plan
    from ml.backtest.trial import Trial
    from ml.bundle import Bundle
    from ml.promotion.desk import Desk

MOST_DAYS = 3660


@click.command()
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=30, show_default=True, help="The last so many.")
@click.option("--review", type=click.FloatRange(0, 1), help="Review from this probability; give --decline as well.")
@click.option("--decline", type=click.FloatRange(0, 1), help="Decline from this probability.")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path), help="Thresholds and lists of another file.")
@click.option("--model", "model_version", metavar="VERSION", help="Score again by this model, on the features served.")
@click.option("--provisional", is_flag=True, help="Days whose labels are still arriving as well.")
@cost_option
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON object.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write every changed decision to this file.")
@click.option("--picture", type=click.Path(path_type=Path), help="Write a picture to FILE.png or FILE.svg.")
def command(
    days: int,
    review: float | None,
    decline: float | None,
    policy_file: Path | None,
    model_version: str | None,
    provisional: bool,
    costs: tuple[tuple[str, float], ...],
    as_json: bool,
    csv_file: Path | None,
    picture: Path | None,
) -> None:
    """Decide the last days of the ledger again and compare with what was decided: swap sets, money, alerts a day.

    Matured days only, unless --provisional. Nothing is changed.
    """
    pair = _pair(review, decline)
    if pair is None and policy_file is None and model_version is None:
        raise click.UsageError("say what to try: --review with --decline, --policy or --model")
    if picture is not None:
        kind_of(picture)
    settings = load_settings()
    # Imported here: the science takes seconds, and a wrong option should be told at once.
    from ml.backtest.run import Plan

    with open_desk(settings) as desk:
        in_force = policy_in_force(settings, desk.schema)
        entities = desk.schema.roles.entities
        plan = Plan(
            days=days,
            provisional=provisional,
            account=entities[0][1] if entities else None,
            costs=replace(in_force.costs, **dict(costs)),
            fallback_s=float(settings.label_delay_s),
        )
        found = _run(desk, plan, _trial(desk, in_force, pair, policy_file, model_version), csv_file)
    show_backtest(found, as_json=as_json)
    if picture is not None:
        from ml.backtest.picture import plot_backtest

        write_picture(picture, lambda kind: plot_backtest(found, kind=kind))


def _pair(review: float | None, decline: float | None) -> Thresholds | None:
    if (review is None) != (decline is None):
        raise click.UsageError("--review and --decline go together")
    if review is None or decline is None:
        return None
    if review > decline:
        raise click.UsageError(f"--review {review:g} is above --decline {decline:g}")
    return Thresholds(review, decline)


def _run(desk: Desk, plan: Plan, trial: Trial, csv_file: Path | None) -> Backtest:
    from ml.backtest.run import run_backtest

    with changed_rows(csv_file) as tell, progress_bar("deciding again") as advance:
        return run_backtest(desk.ledger.quality, plan, trial, now=datetime.now(UTC), advance=advance, tell=tell)


def _trial(
    desk: Desk, in_force: Policy, pair: Thresholds | None, policy_file: Path | None, model_version: str | None
) -> Trial:
    """What the options say. Thresholds: those given, else the policy file's, else the model's own."""
    from ml.backtest.trial import Trial

    policy = None if policy_file is None else load_policy(policy_file, desk.schema)
    bundle = None if model_version is None else _bundle(desk, model_version)
    thresholds = pair or _thresholds(desk, policy or in_force, bundle)
    parts = (
        f"review from {thresholds.review:.4g}, decline from {thresholds.decline:.4g}",
        policy_file and f"lists of {policy_file}",
        model_version and f"scores of {model_version}",
    )
    name = ", ".join(str(part) for part in parts if part)
    return Trial(name, thresholds, policy, desk.schema.digest, bundle)


def _thresholds(desk: Desk, policy: Policy, bundle: Bundle | None) -> Thresholds:
    if policy.review is not None and policy.decline is not None:
        return Thresholds(policy.review, policy.decline)
    if bundle is not None:
        return bundle.thresholds
    found = thresholds_in_force(policy, desk.settings.model_dir, known_champion(desk))
    if found is None:
        raise click.UsageError("the policy file has no [thresholds] and there is no champion: give --review, --decline")
    return found


def _bundle(desk: Desk, model_version: str) -> Bundle:
    from ml.bundle import load_bundle

    stored = desk.bundle(model_version)
    return load_bundle(desk.settings.model_dir / stored.path, digest=stored.digest)
