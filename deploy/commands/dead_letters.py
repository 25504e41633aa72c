"""`tollgate dead-letters`: accepted work that was given up, on an operator's desk. Talks to the broker itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

from config.errors import BrokerUnavailable, UnknownId
from config.settings import load_settings
from config.tenants import told, typed

if TYPE_CHECKING:
    from config.queue.dead_letters import DeadLetter, DeadLetters
    from web.shapes.dead_letters import DeadLetterRecord

TIMEOUT_S = 5.0
as_json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")


@click.group()
def command() -> None:
    """Look at accepted work that was given up after its last attempt; replay or drop it."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most to show.")
@as_json_option
def list_letters(limit: int, as_json: bool) -> None:
    """List dead letters, newest first."""
    with dead_letters() as letters:
        found = [record_of(letter, has_values=False) for letter in letters.page(limit=limit)]
    if as_json:
        click.echo(_json(found))
    else:
        _print_table(found)


@command.command()
@click.argument("entry_id")
@click.option("--values", is_flag=True, help="Show what was sent, not only its types: there may be card data in it.")
@as_json_option
def show(entry_id: str, values: bool, as_json: bool) -> None:
    """Show the dead letter ENTRY_ID: what was accepted, and why it was given up."""
    with dead_letters() as letters:
        letter = letters.find(entry_id) or letters.find(typed(entry_id))
    if letter is None:
        raise _unknown(entry_id)
    record = record_of(letter, has_values=values)
    click.echo(_json(record) if as_json else "\n".join(_lines(record)))


@command.command()
@click.argument("entry_id", required=False)
@click.option("--all", "is_all", is_flag=True, help="Every dead letter there is now.")
def replay(entry_id: str | None, is_all: bool) -> None:
    """Give the dead letter ENTRY_ID, or --all, all its attempts again."""
    if is_all == (entry_id is not None):
        raise click.UsageError("give either an ENTRY_ID or --all")
    with dead_letters() as letters:
        wanted = letters.ids() if entry_id is None else [entry_id]
        replayed = sum(letters.replay(one) or letters.replay(typed(one)) for one in wanted)
    if entry_id is not None and not replayed:
        raise _unknown(entry_id)
    click.echo(f"replayed: {replayed}")


@command.command()
@click.argument("entry_id")
def drop(entry_id: str) -> None:
    """Forget the dead letter ENTRY_ID for good. A transaction's id is unknown afterwards."""
    with dead_letters() as letters:
        is_dropped = letters.drop(entry_id) or letters.drop(typed(entry_id))
    if not is_dropped:
        raise _unknown(entry_id)
    click.echo(f"dropped: {entry_id}")


@contextmanager
def dead_letters() -> Iterator[DeadLetters]:
    """The dead letters of the broker in the settings. Raises BrokerUnavailable when it does not answer."""
    # Imported here: `tollgate dead-letters --help` needs no Celery.
    import redis

    from config.celery_app import make_celery
    from config.queue.connections import make_redis
    from config.queue.dead_letters import DeadLetters

    settings = load_settings()
    client = make_redis(settings, timeout_s=TIMEOUT_S)
    try:
        yield DeadLetters(client, make_celery(settings, "web"), settings)
    except redis.RedisError as error:
        raise BrokerUnavailable(f"the broker does not answer: {error}") from error
    finally:
        client.close()


def record_of(letter: DeadLetter, *, has_values: bool) -> DeadLetterRecord:
    """A dead letter as the HTTP API answers it."""
    from config.schema.load import load_schema
    from web.views.dead_letters import dead_letter_record

    fields = load_schema(load_settings().schema_file).fields
    return dead_letter_record(letter, [field.name for field in fields], has_values=has_values)


def _print_table(records: Sequence[DeadLetterRecord]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not records:
        click.echo("no dead letters")
        return
    table = Table(header_style="bold")
    for column in ("id", "kind", "given up", "attempts", "failure"):
        table.add_column(column, overflow="fold")
    for record in records:
        table.add_row(
            escape(told(record.id)), record.kind, record.dead_at[:19], str(record.attempts), record.failure or "-"
        )
    Console().print(table)


def _lines(record: DeadLetterRecord) -> Iterator[str]:
    members: dict[str, Any] = msgspec.to_builtins(record)
    content = members.pop("content")
    members["id"] = told(record.id)
    for name, value in members.items():
        yield f"{name.replace('_', ' ')}: {'-' if value is None else value}"
    yield "content:"
    for name, value in content.items():
        yield f"  {name}: {value}"


def _json(answer: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()


def _unknown(entry_id: str) -> UnknownId:
    return UnknownId(f"there is no dead letter {entry_id!r}")
