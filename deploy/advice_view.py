"""Advice on thresholds for people: a table and a few sentences."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from ml.advisor.advice import Advice, Option
    from ml.advisor.ledger_days import LedgerReport
    from ml.quality.ratio import Figure
    from ml.thresholds import Thresholds


def show_advice(report: LedgerReport, *, as_json: bool) -> None:
    """The pairs side by side, and what else to know; or everything as JSON."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
        return
    fixed = report.fixed
    whose = fixed.model_version or "all models"
    click.echo(f"{fixed.decisions:,} decisions of {whose} on {fixed.days} matured days, {fixed.frauds:,.0f} frauds")
    click.echo(f"days from {fixed.since} to before {fixed.until}" if fixed.since else "no matured day")
    for note in fixed.notes:
        click.echo(f"note: {note}")
    if fixed.advice is not None:
        _show_found(fixed.advice, report)


def _show_found(advice: Advice, report: LedgerReport) -> None:
    options: dict[str, Option | None] = {
        "in force": advice.current, "advised": advice.best, "with any number of reviews": advice.unlimited,
    }  # fmt: skip
    _table({name: option for name, option in options.items() if option is not None})
    if advice.saves_per_day is not None:
        click.echo(f"the advice saves {amount(advice.saves_per_day)} a day against what is in force{_excess(report)}")
    if advice.checked_saves_per_day is not None:
        click.echo(f"  {advice.checked_saves_per_day:,.0f} a day where every other day decides for the rest")
    click.echo(f"approving everything costs {advice.approve_all_per_day:,.0f} a day")
    if report.each is not None:
        each = report.each
        click.echo(
            f"deciding every payment by its own amount saves {amount(each.saves_per_day)} a day against the advice, "
            f"with {each.alerts_per_day:,.0f} alerts of which {each.reviews_per_day:,.0f} reviews"
        )
    _show_unknown(advice)


def _excess(report: LedgerReport) -> str:
    """Why the advice may cost more than what is in force."""
    advice, per_day = report.fixed.advice, report.fixed.reviewers.per_day
    if advice is None or advice.current is None or per_day is None or advice.current.reviews_per_day.value <= per_day:
        return ""
    return f", which asks for more reviews than the {per_day:g} a day that there are"


def _show_unknown(advice: Advice) -> None:
    unknown = advice.unknown
    if unknown.decisions:
        click.echo(
            f"{unknown.decisions:,.0f} declines have no label and count by their score, {unknown.share_of_fraud:.0%} "
            f"of all fraud; were they all genuine: {_pair(unknown.if_genuine)}, all fraud: {_pair(unknown.if_fraud)}"
        )


def _table(options: Mapping[str, Option]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", *options)
    rows = {
        "review from": [f"{option.review:.4g}" for option in options.values()],
        "decline from": [f"{option.decline:.4g}" for option in options.values()],
        "cost a day": [amount(option.cost_per_day) for option in options.values()],
        "alerts a day": [amount(option.alerts_per_day) for option in options.values()],
        "reviews a day": [amount(option.reviews_per_day) for option in options.values()],
        "review hours a day": [f"{option.review_hours_per_day:,.1f}" for option in options.values()],
        "precision": [share(option.precision) for option in options.values()],
        "recall": [share(option.recall) for option in options.values()],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def amount(figure: Figure) -> str:
    """A figure of money or a count with its interval."""
    return f"{figure.value:,.0f} ({figure.low:,.0f} to {figure.high:,.0f})"


def share(figure: Figure | None) -> str:
    """A share with its interval."""
    return "-" if figure is None else f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%})"


def _pair(thresholds: Thresholds) -> str:
    return f"{thresholds.review:.4g} and {thresholds.decline:.4g}"
