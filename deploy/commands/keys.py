"""`tollgate keys`: makes, lists, replaces and revokes API keys. Talks to the ledger's database itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from config.settings import load_settings
from deploy.commands.model_desk import operator

if TYPE_CHECKING:
    from ml.ledger.key_book import StoredKey
    from web.auth.key_desk import Issued, KeyDesk

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def duration(value: str) -> timedelta:
    """A length of time: 90d, 24h, 30m. Raises BadParameter."""
    found = re.fullmatch(r"(\d{1,6})([mhd])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no length of time: 90d, 24h or 30m")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.group()
def command() -> None:
    """Make, list, rotate and revoke API keys. Who did what is in the audit trail."""


@command.command()
@click.option("--name", required=True, help="Whose key it is: `shop`, `chargeback-loader`.")
@click.option("--scopes", required=True, help="What it may do, separated by commas: score,feedback,read,review,...")
@click.option("--tenant", default="default", show_default=True, help="Whose data it sees.")
@click.option("--expires", "lifetime", type=duration, help="When it ends: 90d, 24h.  [default: until it is revoked]")
def create(name: str, scopes: str, tenant: str, lifetime: timedelta | None) -> None:
    """Make a key and print it, this once: only its digest is stored."""
    # Imported here: `tollgate keys --help` needs no database.
    from web.auth.key_desk import KeyWish, read_scopes

    wish = KeyWish(name, read_scopes(scopes.replace(",", " ").split()), tenant, lifetime)
    with key_desk() as desk:
        _tell(desk.create(wish, actor=operator(), now=datetime.now(UTC)))


@command.command("list")
def list_keys() -> None:
    """List every key that there ever was. What opens something is never shown again."""
    with key_desk() as desk:
        found = desk.all()
    if found:
        _print_table(found)
    else:
        click.echo("no keys: tollgate keys create --name NAME --scopes score,feedback")


@command.command()
def history() -> None:
    """Say who made, replaced and revoked keys: the newest entries of the audit trail about them."""
    with key_desk() as desk:
        for event in desk.history():
            click.echo(f"{event.at:%Y-%m-%d %H:%M} {event.actor} {event.action}: {'; '.join(event.reasons)}")


@command.command()
@click.argument("key_id")
@click.option("--overlap", type=duration, default="24h", show_default=True, help="How long the old key stays.")
def rotate(key_id: str, overlap: timedelta) -> None:
    """Replace the key KEY_ID by a new one of the same rights, printed this once. The old one ends after the overlap."""
    with key_desk() as desk:
        _tell(desk.rotate(_id_in(key_id), overlap=overlap, actor=operator(), now=datetime.now(UTC)))


@command.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End the key KEY_ID at once: every web process refuses it within seconds."""
    with key_desk() as desk:
        desk.revoke(_id_in(key_id), actor=operator(), now=datetime.now(UTC))
    click.echo(f"revoked: {key_id}")


@contextmanager
def key_desk() -> Iterator[KeyDesk]:
    """The desk on the database of the settings, with its newest tables. Raises LedgerUnavailable."""
    from ml.ledger import Ledger
    from web.auth.key_desk import KeyDesk

    ledger = Ledger(load_settings().database_url)
    try:
        ledger.migrate()
        yield KeyDesk(ledger.keys)
    finally:
        ledger.close()


def _id_in(text: str) -> str:
    """The id, also of who copied the visible prefix."""
    return text.removeprefix("tg_")


def _tell(issued: Issued) -> None:
    key = issued.key
    ends = f"until {key.expires_at.isoformat(timespec='minutes')}" if key.expires_at else "until it is revoked"
    click.echo(f"{key.key_id} ({key.name}, tenant {key.tenant}): {', '.join(key.scopes)}, {ends}", err=True)
    click.echo("This is the key. It is shown this once:", err=True)
    click.echo(issued.text)


def _print_table(keys: Sequence[StoredKey]) -> None:
    from rich.console import Console
    from rich.table import Table

    now = datetime.now(UTC)
    table = Table(header_style="bold")
    for column in ("id", "name", "tenant", "scopes", "made", "state"):
        table.add_column(column, overflow="fold")
    for key in keys:
        made = f"{key.created_at:%Y-%m-%d} by {key.created_by}"
        table.add_row(key.key_id, key.name, key.tenant, ", ".join(key.scopes), made, _state(key, now))
    Console().print(table)


def _state(key: StoredKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M}"
    until = f"until {key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "in force"
    state = until if key.is_in_force(now) else f"expired {key.expires_at:%Y-%m-%d %H:%M}"
    replaced = f", replaced by {key.replaced_by}" if key.replaced_by else ""
    return f"{'development, ' if key.kind == 'development' else ''}{state}{replaced}"
