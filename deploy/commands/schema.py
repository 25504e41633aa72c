"""`tollgate schema`: check a schema file, or draft one from data."""

from __future__ import annotations

from pathlib import Path

import click

from config.errors import SchemaInvalid
from config.schema.load import load_schema
from config.schema.model import Schema


@click.group(name="schema")
def command() -> None:
    """Check schema files, or draft one from data."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a schema FILE and explain every mistake by its line."""
    try:
        checked = load_schema(file)
    except SchemaInvalid as error:
        for mistake in error.errors:
            click.echo(f"{file}: {mistake.message}", err=True)
        raise click.ClickException(error.detail) from error
    click.echo(f"{file} is valid.\n{_summary(checked)}")


@command.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--label", metavar="NAME", help="The column that says what was fraud, if it cannot be guessed.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the draft to this file.")
@click.option("--force", is_flag=True, help="Replace the --out file if there is one.")
def infer(data: Path, label: str | None, out: Path | None, force: bool) -> None:
    """Draft a schema from labelled DATA (CSV or Parquet), to read, correct and keep."""
    from ml.schema_inference import infer_schema  # pandas takes half a second: only when it is needed

    if out and out.exists() and not force:
        raise click.ClickException(f"{out} exists; choose another name or add --force.")
    try:
        draft = infer_schema(data, label)
    except SchemaInvalid as error:
        raise click.ClickException("\n".join([error.detail, *(one.message for one in error.errors)])) from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if out is None:
        click.echo(draft, nl=False)
        return
    out.write_text(draft, encoding="utf-8")
    if "# CONVERT FIRST" in draft:
        click.echo("Some columns have to be written as plain numbers before training: see CONVERT FIRST.", err=True)
    click.echo(f"Wrote {out}. Read its comments, then: tollgate train --schema {out} --data {data}", err=True)


def _summary(checked: Schema) -> str:
    roles = checked.roles
    played = {"amount": roles.amount, "event time": roles.event_time, "transaction id": roles.transaction_id}
    played |= {"label": roles.label, **{f"entity {name}": field for name, field in roles.entities}}
    lines = [
        f"  schema       {checked.name}, version {checked.version}, digest {checked.digest[:16]}",
        f"  fields       {len(checked.fields)}, of which {len(checked.model_fields)} are model inputs",
        f"  features     {len(checked.features)} over history",
    ]
    return "\n".join(lines + [f"  {role:<12} {name}" for role, name in played.items() if name])
