"""A backtest for people: swap sets, both sides, and what it comes to."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from deploy.advice_view import amount, share

if TYPE_CHECKING:
    from rich.table import Table

    from ml.backtest.report import Backtest, Summary
    from ml.backtest.run import Changed


def show_backtest(found: Backtest, *, as_json: bool) -> None:
    """Two tables and a few sentences; or everything as JSON."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    provisional = "; PROVISIONAL: labels are still arriving" if found.is_provisional else ""
    click.echo(f"{found.trial}\n{found.decisions:,} decisions from {found.since} to before {found.until}{provisional}")
    for reason, count in found.left_out.items():
        click.echo(f"left out: {count:,} {reason}")
    for note in found.notes:
        click.echo(f"note: {note}")
    _print(_sides(found))
    if found.swaps:
        _print(_swaps(found))
    else:
        click.echo("no decision would have been another")
    click.echo(f"saves {amount(found.saves_per_day)} a day, {found.saves:,.0f} in all (negative: it costs)")


@contextmanager
def changed_rows(path: Path | None) -> Iterator[Callable[[Changed], None]]:
    """What writes changed decisions to a CSV file as they are found; does nothing without a path."""
    if path is None:
        yield lambda _changed: None
        return
    from ml.backtest.run import Changed

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, Changed.__struct_fields__, lineterminator="\n")
        writer.writeheader()
        yield lambda changed: writer.writerow(msgspec.structs.asdict(changed))


def _sides(found: Backtest) -> Table:
    from rich.table import Table

    table = Table("a day", "as it was", "as it would be")
    for label, cell in _rows():
        table.add_row(label, cell(found.before), cell(found.after))
    return table


def _rows() -> Iterator[tuple[str, Callable[[Summary], str]]]:
    for name in ("alerts_per_day", "reviews_per_day", "declines_per_day", "cost_per_day"):
        yield name.removesuffix("_per_day"), _amount_of(name)
    for name in ("precision", "recall", "decline_precision", "decline_recall", "false_positive_rate", "value_detected"):
        yield name.replace("_", " "), _share_of(name)


def _amount_of(name: str) -> Callable[[Summary], str]:
    return lambda side: amount(getattr(side, name))


def _share_of(name: str) -> Callable[[Summary], str]:
    return lambda side: share(side.measures[name])


def _swaps(found: Backtest) -> Table:
    from rich.table import Table

    table = Table("swap set", "decisions", "frauds", "amount", "fraud amount", "nobody knows", "saves")
    for swap in found.swaps:
        numbers = (swap.decisions, swap.frauds, swap.amount, swap.fraud_amount, swap.unknown, swap.saves)
        table.add_row(f"{swap.before} -> {swap.after}", *(f"{number:,.0f}" for number in numbers))
    return table


def _print(table: Any) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 110).print(table)
