"""`tollgate train`: a labelled file, or the ledger, becomes a registered model."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from config.settings import Settings, load_settings
from deploy.commands.model_desk import open_desk, operator
from deploy.commands.promote import promote_command

if TYPE_CHECKING:
    from ml.training.run import Placement

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in click's stubs only
    """A time span such as 90s, 12h, 7d; a bare number is seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The span in seconds."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a time span; write 90s, 12h or 7d", param, ctx)
        return float(match[1]) * _UNITS_S[match[2] or "s"]


@click.command()
@click.option("--schema", "schema_file", type=click.Path(path_type=Path), help="Schema file (default: the setting).")
@click.option("--data", type=click.Path(path_type=Path), help="Labelled CSV or Parquet file (default: the ledger).")
@click.option("--out", type=click.Path(path_type=Path), help="Bundle store (default: TOLLGATE_MODEL_DIR).")
@click.option("--label-delay", type=Duration(), help="How long labels take to arrive, such as 7d.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--no-promote", is_flag=True, help="Never make the model the champion.")
def command(
    schema_file: Path | None,
    data: Path | None,
    out: Path | None,
    label_delay: float | None,
    seed: int,
    no_promote: bool,
) -> None:
    """Train a model on labelled transactions, judge it on the newest ones, save and register it.

    From a file, the first model of a schema becomes its champion; later ones wait as challengers. From the ledger, the
    promotion gate decides at once.
    """
    given = {"schema_file": schema_file, "model_dir": out, "label_delay_s": label_delay and int(label_delay)}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    console = Console()
    _share_the_machine()
    if data is None:
        _train_on_ledger(settings, console)
        return
    # After that, because OpenMP reads it when scikit-learn loads it; and a wrong option is told without waiting.
    from ml.training.run import place, train_file

    with _saying(console) as say:
        result = train_file(settings, data, seed=seed, say=say)
    _print_report(console, result.report)
    # Plain lines from here on: what rich breaks at the width of a window cannot be pasted.
    click.echo(f"model    {result.model_version}\nbundle   {result.directory}\ndigest   {result.digest}")
    placement = place(settings, result, may_promote=not no_promote)
    click.echo(_explain(placement, result.model_version, settings))


def _share_the_machine() -> None:
    """Let OpenMP's threads sleep while they wait: on busy cores spinning ones made a fit twenty times
    slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _train_on_ledger(settings: Settings, console: Console) -> None:
    """Train on what was served and labelled, and let the gate decide. Never beside another training."""
    # Imported here: see above.
    from ml.gate.verdict import as_text
    from ml.training.tracking import mark_champion
    from workers.training_lock import training_lock

    with open_desk(settings) as desk, training_lock(desk.client), _saying(console) as say:
        made = desk.retrain(actor=operator(), now=datetime.now(UTC), say=say)
        if made.pointer is not None:
            mark_champion(settings, made.model_version)
    console.print(f"model    {made.model_version}")
    console.print(as_text(made.report) if made.report else "champion: the first model of its schema", soft_wrap=True)
    if made.report is not None and made.report.outcome == "promote" and made.pointer is None:
        console.print(f"canary: it decides {settings.canary_share:g} for {settings.canary_minutes:g} minutes first")


@contextmanager
def _saying(console: Console) -> Iterator[Callable[[str], None]]:
    """A spinner with what is being done and for how long; plain lines where there is no terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("reading the data")

        def say(text: str) -> None:
            if console.is_terminal:
                progress.update(task, description=text)
            else:
                click.echo(text)

        yield say


def _print_report(console: Console, report: dict[str, Any]) -> None:
    from ml.training.report import figure_rows, trial_rows

    tried = Table("model", "average precision", "ROC AUC", "fitted on", "seconds", title="Tried (validation window)")
    for row in trial_rows(report):
        tried.add_row(*row)
    console.print(tried)
    console.print(f"chosen: {report['winner']['name']}")
    judged = Table("figure", "value", "", title="On the test window, looked at once")
    for row in figure_rows(report):
        judged.add_row(*row)
    console.print(judged)
    for note in report["notes"]:
        click.echo(f"note: {note}")
    for warning in report["warnings"]:
        click.secho(f"WARNING: {warning}", fg="red", bold=True)


def _explain(placement: Placement, model_version: str, settings: Settings) -> str:
    """What became of the model, and what to do next."""
    if placement.standing == "champion":
        return "champion: running workers follow at once" if placement.is_live else "champion from the next start on"
    if placement.standing == "other schema":
        serving = placement.champion.model_version if placement.champion else "another model"
        up = shlex.join(["tollgate", "up", "--schema", str(settings.schema_file)])
        return f"not promoted: {serving}, of another schema or store, serves now; this serves the new one: {up}"
    if placement.standing == "held back":
        return (
            "not promoted, because it loses money; if it is to serve all the same: "
            f"{promote_command(model_version, settings)}"
        )
    return f"challenger; make it the champion with: {promote_command(model_version, settings)}"
