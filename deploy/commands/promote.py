"""`tollgate promote`: a challenger becomes the champion, if the gate says so or an operator insists."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path

import click

from config.errors import SchemaInvalid, UnknownId
from config.schema.load import load_schema
from config.settings import Settings, load_settings
from deploy.commands.model_desk import open_desk, operator
from ml.registry import find_bundles


@click.command()
@click.argument("model_version")
@click.option("--schema", "schema_file", type=click.Path(path_type=Path), help="Schema file (default: the setting).")
@click.option("--out", type=click.Path(path_type=Path), help="Bundle store (default: TOLLGATE_MODEL_DIR).")
@click.option("--force", is_flag=True, help="Overrule the gate; it is recorded who did.")
def command(model_version: str, schema_file: Path | None, out: Path | None, force: bool) -> None:
    """Make MODEL_VERSION the champion, if it proves itself on the newest matured labels of the ledger.

    Running workers follow within a second. Exit code 2 with the gate's reasons when it refuses.
    """
    given = {"schema_file": schema_file, "model_dir": out}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    _require_ours(settings, model_version)
    with open_desk(settings) as desk:
        act = desk.force if force else desk.promote
        pointer = act(model_version, actor=operator(), now=datetime.now(UTC))
    if pointer is None:
        click.echo(f"canary: {model_version} decides {settings.canary_share:g} for {settings.canary_minutes:g} minutes")
        return
    # Imported here: MLflow's client takes seconds, and a refusal should be told at once.
    from ml.training.tracking import mark_champion

    mark_champion(settings, pointer.model_version)
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


def _require_ours(settings: Settings, model_version: str) -> None:
    """Raises UnknownId when there is no such model, SchemaInvalid when it is for another schema."""
    stored = next((b for b in find_bundles(settings.model_dir) if b.model_version == model_version), None)
    if stored is None:
        raise UnknownId(f"{settings.model_dir} has no model {model_version}")
    if stored.schema_digest != load_schema(settings.schema_file).digest:
        raise SchemaInvalid(
            f"{model_version} was trained for another schema than {settings.schema_file}; name the file that it was "
            f"trained with: tollgate promote {model_version} --schema FILE"
        )
