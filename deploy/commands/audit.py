"""`tollgate audit`: the chain of digests over decisions, labels and operators' actions. Talks to the ledger itself."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
import msgspec

from config.settings import Settings, load_settings

if TYPE_CHECKING:
    from ml.ledger import Ledger
    from ml.ledger.audit.verify import Verification

EXIT_BROKEN = 1
SHOWN = 50


@click.group()
def command() -> None:
    """Check that no decision, label or operator's action was changed, removed or moved."""


@command.command()
@click.option("--head", metavar="DIGEST", help="A head noted earlier, that the chain must still contain.")
@click.option("--retained-since", metavar="TIME", help="Decisions older than this may be gone (default: retention).")
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON object.")
def verify(head: str | None, retained_since: str | None, as_json: bool) -> None:
    """Compare every sealed row with its digest, and every block with the one before it.

    Prints the chain's head: note it outside of this database. Exit code 0 when everything fits, 1 when not.
    """
    settings = load_settings()
    since = _moment(retained_since) if retained_since else _retained_since(settings)
    # Imported here: `tollgate audit --help` needs no database.
    from ml.ledger import Ledger

    ledger = Ledger(settings.database_url)
    try:
        found = _walk(ledger, since, head)
    finally:
        ledger.close()
    click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(_lines(found)))
    sys.exit(0 if found.is_whole else EXIT_BROKEN)


def _walk(ledger: Ledger, since: datetime | None, head: str | None) -> Verification:
    # Imported here: rich takes a tenth of a second.
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("verifying", total=ledger.audit.count_blocks())
        for state in ledger.audit.verify(retained_since=since, head=head):
            progress.update(task, completed=state.blocks)
    return state


def _retained_since(settings: Settings) -> datetime | None:
    if not settings.ledger_retention_s:
        return None
    return datetime.now(UTC) - timedelta(seconds=settings.ledger_retention_s)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no ISO 8601 time", param_hint="--retained-since") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lines(found: Verification) -> list[str]:
    lines = [
        f"blocks: {found.blocks}, rows compared: {found.rows}, not sealed yet: {found.not_sealed}",
        f"  gone by retention: {found.retired}, changed by `tollgate forget`: {found.forgotten}",
        f"  head: {found.head}",
    ]
    lines += [
        f"{one.subject} row {one.row} {one.what}" if one.row else f"block {one.block} {one.what}"
        for one in found.findings[:SHOWN]
    ]
    more = len(found.findings) - SHOWN + found.findings_omitted
    if more > 0:
        lines.append(f"and {more} more")
    return [*lines, "everything fits" if found.is_whole else "THE LEDGER WAS CHANGED"]
