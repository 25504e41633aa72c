"""`tollgate forget`: erases an entity's identifier from the ledger and its history from the broker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from config.errors import BrokerUnavailable
from config.schema.load import load_schema
from config.settings import Settings, load_settings
from config.tenants import prefix_for
from deploy.commands.model_desk import operator
from deploy.commands.tenant_option import tenant_option

if TYPE_CHECKING:
    from config.schema.model import Schema

TIMEOUT_S = 5.0


@click.command()
@click.argument("entity")
@click.argument("value")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@tenant_option
def command(entity: str, value: str, is_sure: bool, tenant: str) -> None:
    """Forget the ENTITY (account, card, merchant: a name of the schema) whose identifier is VALUE, for good.

    A name made up at random takes the identifier's place in its decisions and labels; its history starts anew. What
    stays, and why, is in docs/SECURITY.md.
    """
    settings = load_settings()
    schema = load_schema(settings.schema_file)
    known = [name for name, _ in schema.roles.entities]
    if entity not in known:
        raise click.BadParameter(f"{entity!r} is no entity of {schema.name}: {', '.join(known)}", param_hint="ENTITY")
    if not is_sure:
        click.confirm(f"Forget this {entity} for good?", abort=True)
    _forget_in_ledger(settings, schema, entity, value, tenant)
    _forget_in_broker(settings, schema, entity, prefix_for(tenant) + value)


def _forget_in_ledger(settings: Settings, schema: Schema, entity: str, value: str, tenant: str) -> None:
    # Imported here: `tollgate forget --help` needs no database.
    from ml.ledger import Ledger

    ledger = Ledger(settings.database_url, schema=schema)
    try:
        done = ledger.forget(entity, value, actor=operator(), now=datetime.now(UTC), tenant=tenant)
    finally:
        ledger.close()
    click.echo(f"ledger: {done.decisions} decisions and {done.labels} labels are about {done.pseudonym} now")


def _forget_in_broker(settings: Settings, schema: Schema, entity: str, value: str) -> None:
    # Imported here, as above; redis takes a tenth of a second.
    import redis

    from config.queue.connections import make_redis
    from config.queue.forgetting import forget_history, on_their_way
    from ml.features.spec import FeatureSpec

    spec = next(one for one in FeatureSpec.from_schema(schema, settings.history_events).entities if one.name == entity)
    try:
        with make_redis(settings, timeout_s=TIMEOUT_S) as client:
            click.echo(f"history: {forget_history(client, entity, spec.record, value)} logs deleted")
            waiting = on_their_way(client)
    except redis.RedisError as error:
        raise BrokerUnavailable(f"the history was not deleted, run this again: {error}") from error
    if waiting:
        click.echo(f"{waiting} payments are on their way to the ledger: run this again in a minute", err=True)
