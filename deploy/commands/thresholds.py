"""`tollgate thresholds`: from which scores to review and to decline, by what mistakes cost; puts them into service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from config.contracts import ChampionPointer
from config.errors import SettingInvalid, TollgateError
from config.settings import Settings, load_settings
from deploy.advice_view import amount, show_advice
from deploy.commands.model_desk import known_champion, open_desk, operator
from deploy.pictures import kind_of, write_picture
from ml.advisor.report import DEFAULT_DAYS, MOST_DAYS, Question
from ml.costs import COST_BOUNDS, REVIEWER_BOUNDS, Reviewers, out_of_bounds
from ml.policy import Policy
from ml.policy_file import staged_thresholds
from ml.policy_in_force import own_policy, policy_in_force, policy_path
from ml.thresholds import Thresholds

if TYPE_CHECKING:
    from ml.advisor.advice import Advice
    from ml.advisor.ledger_days import Advance, LedgerReport
    from ml.promotion.desk import Desk

NO_ADVICE = 1


class CostOption(click.ParamType):  # type: ignore[type-arg]  # generic in click's stubs only
    """One entry of the cost matrix: NAME=NUMBER."""

    name = "name=number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """The entry's name and number."""
        name, _, number = str(value).partition("=")
        if name not in COST_BOUNDS:
            self.fail(f"{name!r} is no cost; there are {', '.join(COST_BOUNDS)}", param, ctx)
        try:
            given = {name: float(number)}
        except ValueError:
            self.fail(f"{number!r} is no number", param, ctx)
        for mistake in out_of_bounds("costs", given, COST_BOUNDS):
            self.fail(f"{name} {mistake.message}", param, ctx)
        return name, given[name]


cost_option = click.option(
    "--cost", "costs", type=CostOption(), multiple=True, help="In place of the policy file's, such as refusal=30."
)


@click.command()
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=DEFAULT_DAYS, show_default=True, help="At most.")
@click.option("--model", "model_version", metavar="VERSION", help="Whose decisions (default: the champion's).")
@cost_option
@click.option("--reviews-per-day", type=click.FloatRange(*REVIEWER_BOUNDS["per_day"]), help="What reviewers manage.")
@click.option("--picture", type=click.Path(path_type=Path), help="Write the curves to FILE.png or FILE.svg.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON object.")
@click.option("--apply", "is_applied", is_flag=True, help="Write the advice to the policy file and reload the workers.")
def command(
    days: int,
    model_version: str | None,
    costs: tuple[tuple[str, float], ...],
    reviews_per_day: float | None,
    picture: Path | None,
    as_json: bool,
    is_applied: bool,
) -> None:
    """Say from which score to review and to decline, from matured decisions in the ledger and what mistakes cost.

    Exit code 0, or 1 when there are too few matured frauds for advice.
    """
    if is_applied and model_version is not None:
        raise click.UsageError("--apply takes the champion's decisions; leave --model out")
    if picture is not None:
        kind_of(picture)
    settings = load_settings()
    with open_desk(settings) as desk:
        policy = policy_in_force(settings, desk.schema)
        champion = known_champion(desk)
        question = Question(
            costs=replace(policy.costs, **dict(costs)),
            reviewers=_reviewers(policy.reviewers, reviews_per_day),
            days=days,
            model_version=model_version,
            champion=champion.model_version if champion else None,
            current=thresholds_in_force(policy, desk.settings.model_dir, champion),
        )
        report = _ask(desk, question)
        show_advice(report, as_json=as_json)
        if report.fixed.advice is None:
            sys.exit(NO_ADVICE)
        if picture is not None:
            _draw(report, picture)
        if is_applied:
            _apply(desk, question.champion, report.fixed.advice)
    if is_applied:
        _reload(settings)


def thresholds_in_force(policy: Policy, model_dir: Path, champion: ChampionPointer | None) -> Thresholds | None:
    """The policy file's, else the champion's own; None without a champion."""
    if policy.review is not None and policy.decline is not None:
        return Thresholds(policy.review, policy.decline)
    if champion is None:
        return None
    # Imported here: loading a bundle takes the science with it.
    from ml.bundle import load_bundle

    return load_bundle(model_dir / champion.path, digest=champion.digest).thresholds


@contextmanager
def progress_bar(what: str) -> Iterator[Advance]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _reviewers(own: Reviewers, per_day: float | None) -> Reviewers:
    return own if per_day is None else replace(own, per_day=per_day)


def _ask(desk: Desk, question: Question) -> LedgerReport:
    # Imported here: numpy takes a moment, and a wrong option should be told at once.
    from ml.advisor.ledger_days import report_from_ledger

    with progress_bar("reading decisions") as advance:
        return report_from_ledger(
            desk.ledger.quality,
            question,
            now=datetime.now(UTC),
            fallback_s=float(desk.settings.label_delay_s),
            advance=advance,
        )


def _draw(report: LedgerReport, path: Path) -> None:
    from ml.advisor.picture import plot_advice

    write_picture(path, lambda kind: plot_advice(report.fixed, kind=kind))


def _apply(desk: Desk, champion: str | None, advice: Advice) -> None:
    """Record first, as every change of what decides; the file changes at once and as a whole."""
    target = own_policy(desk.settings)
    new = Thresholds(advice.best.review, advice.best.decline)
    with staged_thresholds(policy_path(desk.settings), target, desk.schema, new):
        desk.record_thresholds(champion, _reasons(advice, target), actor=operator(), now=datetime.now(UTC))
    click.echo(f"{target}: review from {new.review:g}, decline from {new.decline:g}", err=True)


def _reasons(advice: Advice, target: Path) -> list[str]:
    was = advice.current
    before = "the model's own" if was is None else f"{was.review:g} and {was.decline:g}"
    reasons = [f"review from {advice.best.review:g}, decline from {advice.best.decline:g}, before {before}: {target}"]
    if advice.saves_per_day is not None:
        reasons.append(f"by the advisor: costs {amount(advice.saves_per_day)} a day less")
    return reasons


def _reload(settings: Settings) -> None:
    """Ask the workers to read the policy file; one that does not answer reads it at its next start."""
    from deploy.commands.reload import reload_workers

    try:
        report = reload_workers(settings, settings.reload_timeout_s)
    except TollgateError as error:
        raise SettingInvalid(f"written, but not in service yet: {error.detail}; later: tollgate reload") from error
    for worker in report.workers:
        click.echo(f"{worker.worker}: {worker.status} {worker.detail}".rstrip(), err=True)
    if not report.agreed:
        click.echo("not every worker has taken it into service: tollgate reload asks again", err=True)
