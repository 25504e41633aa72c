"""`tollgate promote`: a challenger becomes the champion, on an operator's word."""

from __future__ import annotations

import click
import redis

from config.errors import BrokerUnavailable, UnknownId
from config.queue.connections import make_redis
from config.schema.load import load_schema
from config.settings import load_settings
from ml.registry import find_bundles, promote

TIMEOUT_S = 5.0


@click.command()
@click.argument("model_version")
def command(model_version: str) -> None:
    """Make MODEL_VERSION the champion. It is verified first; running workers follow within a second."""
    settings = load_settings()
    schema_digest = load_schema(settings.schema_file).digest
    stored = next((b for b in find_bundles(settings.model_dir) if b.model_version == model_version), None)
    if stored is None:
        raise UnknownId(f"{settings.model_dir} has no model {model_version}")
    # Imported here: the science takes seconds, and a wrong name should be told at once.
    from ml.bundle import load_bundle
    from ml.training.tracking import mark_champion

    load_bundle(settings.model_dir / stored.path, digest=stored.digest, schema_digest=schema_digest)
    try:
        pointer = promote(make_redis(settings, timeout_s=TIMEOUT_S), settings.model_dir, stored)
    except redis.RedisError as error:
        raise BrokerUnavailable(f"the broker does not answer, nothing was changed: {error}") from error
    mark_champion(settings, model_version)
    click.echo(f"champion: {pointer.model_version}, generation {pointer.generation}")
