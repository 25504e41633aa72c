"""`tollgate promote`: a challenger becomes the champion, on an operator's word."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import redis

from config.errors import BrokerUnavailable, SchemaInvalid, UnknownId
from config.queue.connections import make_redis
from config.schema.load import load_schema
from config.settings import Settings, load_settings
from ml.registry import StoredBundle, find_bundles, promote

TIMEOUT_S = 5.0


@click.command()
@click.argument("model_version")
@click.option("--schema", "schema_file", type=click.Path(path_type=Path), help="Schema file (default: the setting).")
@click.option("--out", type=click.Path(path_type=Path), help="Bundle store (default: TOLLGATE_MODEL_DIR).")
def command(model_version: str, schema_file: Path | None, out: Path | None) -> None:
    """Make MODEL_VERSION the champion. It is verified first; running workers follow within a second."""
    given = {"schema_file": schema_file, "model_dir": out}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    stored = _find(settings, model_version)
    # Imported here: the science takes seconds, and a wrong name or schema should be told at once.
    from ml.bundle import load_bundle
    from ml.training.tracking import mark_champion

    load_bundle(settings.model_dir / stored.path, digest=stored.digest, schema_digest=stored.schema_digest)
    try:
        pointer = promote(make_redis(settings, timeout_s=TIMEOUT_S), settings.model_dir, stored)
    except redis.RedisError as error:
        raise BrokerUnavailable(f"the broker does not answer, nothing was changed: {error}") from error
    mark_champion(settings, model_version)
    click.echo(f"champion: {pointer.model_version}, generation {pointer.generation}")


def promote_command(model_version: str, settings: Settings) -> str:
    """The command that promotes a model trained with `settings`, to be pasted as it is: with what differs from the
    settings that a command without options finds.
    """
    usual = load_settings()
    words = ["tollgate", "promote", model_version]
    if settings.schema_file != usual.schema_file:
        words += ["--schema", str(settings.schema_file)]
    if settings.model_dir != usual.model_dir:
        words += ["--out", str(settings.model_dir)]
    return shlex.join(words)


def _find(settings: Settings, model_version: str) -> StoredBundle:
    """Raises UnknownId when there is no such model, SchemaInvalid when it is for another schema."""
    stored = next((b for b in find_bundles(settings.model_dir) if b.model_version == model_version), None)
    if stored is None:
        raise UnknownId(f"{settings.model_dir} has no model {model_version}")
    if stored.schema_digest != load_schema(settings.schema_file).digest:
        raise SchemaInvalid(
            f"{model_version} was trained for another schema than {settings.schema_file}; name the file that it was "
            f"trained with: tollgate promote {model_version} --schema FILE"
        )
    return stored
