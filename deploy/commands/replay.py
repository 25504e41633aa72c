"""`tollgate replay`: features and probability of stored decisions, rebuilt from the ledger and compared."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from config.errors import UnknownId
from config.schema.load import load_schema
from config.settings import Settings, load_settings
from config.tenants import prefix_for, told
from deploy.commands.tenant_option import tenant_option

if TYPE_CHECKING:
    from ml.ledger import Ledger
    from ml.replay.report import Replayed, ReplaySummary

EXIT_DIFFERENT = 1
EXIT_IMPOSSIBLE = 3
EXIT_CODES = {"identical": 0, "close": 0, "different": EXIT_DIFFERENT, "impossible": EXIT_IMPOSSIBLE}


@click.command()
@click.argument("decision_id", required=False)
@click.option("--all", "whole", is_flag=True, help="Every decision of the ledger.")
@click.option("--since", metavar="TIME", help="With --all: only decisions scored since then (ISO 8601, UTC).")
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON object.")
@tenant_option
def command(decision_id: str | None, whole: bool, since: str | None, as_json: bool, tenant: str) -> None:
    """Rebuild the decision DECISION_ID (or transaction id) from the ledger and its bundle, and compare to the bit.

    --all rebuilds every tenant's decisions. Exit code 0 when nothing differs, 1 when something does, 3 when the one
    decision asked for cannot be rebuilt.
    """
    if whole == (decision_id is not None) or (since is not None and not whole):
        raise click.UsageError("give a DECISION_ID, or --all (then --since may go with it)")
    settings = load_settings()
    # Imported here: `tollgate replay --help` needs no database.
    from ml.ledger import Ledger

    ledger = Ledger(settings.database_url, schema=load_schema(settings.schema_file))
    try:
        if decision_id is None:
            sys.exit(_replay_all(settings, ledger, _moment(since), as_json=as_json))
        sys.exit(_replay_one(settings, ledger, decision_id, prefix_for(tenant) + decision_id, as_json=as_json))
    finally:
        ledger.close()


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no ISO 8601 time", param_hint="--since") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _replay_one(settings: Settings, ledger: Ledger, decision_id: str, transaction_id: str, *, as_json: bool) -> int:
    stored = ledger.decision_by_id(decision_id) or ledger.decision_by_transaction(transaction_id)
    if stored is None:
        raise UnknownId(f"the ledger has no decision {decision_id!r}: there never was one, or retention removed it")
    # Imported here: the science takes seconds, and a wrong id should be told at once.
    from ml.replay.run import replay_decision
    from ml.replay.shelf import BundleShelf

    replayed = replay_decision(ledger, BundleShelf(settings.model_dir), stored)
    _print_json(replayed) if as_json else _print_one(replayed)
    return EXIT_CODES[replayed.outcome]


def _replay_all(settings: Settings, ledger: Ledger, since: datetime | None, *, as_json: bool) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from ml.replay.run import replay_ledger
    from ml.replay.shelf import BundleShelf

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("replaying", total=ledger.count_decisions())
        summary = replay_ledger(
            ledger,
            BundleShelf(settings.model_dir),
            since=since,
            advance=lambda count: progress.update(task, advance=count),
        )
    _print_json(summary) if as_json else _print_summary(summary)
    return EXIT_DIFFERENT if summary.different else 0


def _print_json(found: Replayed | ReplaySummary) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())


def _print_one(replayed: Replayed) -> None:
    name = f"decision {replayed.decision_id} (transaction {told(replayed.transaction_id)}, {replayed.model_version})"
    if replayed.outcome == "impossible":
        click.echo(f"{name} cannot be rebuilt: {replayed.reason}")
        return
    click.echo(f"{name}: {replayed.outcome}, {replayed.features} features")
    click.echo(f"  {'fraud_probability':<32} served {replayed.served_probability!r}")
    click.echo(f"  {'':<32} rebuilt {replayed.rebuilt_probability!r}")
    _print_differences(replayed)


def _print_differences(replayed: Replayed) -> None:
    if replayed.differences:
        click.echo(f"  {'feature':<32} {'served':>24} {'rebuilt':>24}")
    for one in replayed.differences:
        click.echo(f"  {one.column:<32} {_shown(one.served):>24} {_shown(one.rebuilt):>24}")


def _shown(value: float | None) -> str:
    return "missing" if value is None else repr(value)


def _print_summary(summary: ReplaySummary) -> None:
    compared = summary.identical + summary.close + summary.different
    click.echo(f"decisions: {summary.decisions}, compared: {compared}, labels replayed: {summary.labels}")
    click.echo(f"  identical to the bit: {summary.identical}")
    click.echo(f"  probability within tolerance: {summary.close}")
    click.echo(f"  different: {summary.different}")
    click.echo(f"  largest difference in probability: {summary.largest_probability_difference:.3g}")
    for reason, count in summary.impossible.items():
        click.echo(f"  cannot be rebuilt: {count}: {reason}")
    if summary.missing_sequences:
        click.echo(f"  numbers without a decision or label: {summary.missing_sequences}")
    for replayed in summary.shown:
        _print_one(replayed)
