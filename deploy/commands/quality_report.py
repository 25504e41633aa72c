"""`tollgate quality-report`: what models are worth on public transactions, measured on this machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from config.settings import load_settings

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("protocol", "sparkov", "http", "stationary", "drift")


@click.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory with handbook.parquet and sparkov.parquet (docs/model-quality.md says where from).",
)
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this part; repeatable.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="Where to write.  [default: docs]")
def command(data: Path, parts: tuple[str, ...], output: Path | None) -> None:
    """Measure models on public transactions.

    The handbook's published protocol, Sparkov, the same figures over HTTP, and the weekly loop with and without drift.
    Writes model-quality.md, model-quality.json and pictures; a part that is not measured keeps its figures.
    """
    _share_the_machine()
    # Imported here: OpenMP reads its settings when it is loaded.
    from deploy.quality.measure import Measuring, measure_parts

    started = time.monotonic()
    work_dir = load_settings().data_dir.resolve() / "quality"
    measuring = Measuring(
        data.resolve(), work_dir, REPOSITORY, lambda text: click.echo(f"{time.monotonic() - started:6.0f} s  {text}")
    )
    chosen = [part for part in PARTS if not parts or part in parts]
    measure_parts(measuring, chosen, output or REPOSITORY / "docs")  # type: ignore[arg-type]  # click has checked


def _share_the_machine() -> None:
    """OpenMP's threads sleep while they wait: on busy cores spinning ones made a fit twenty times slower."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
