"""`tollgate score FILE --out FILE`: a file of transactions becomes a file of decisions."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deploy.access import api_key_option
from deploy.bulk.command import bulk_server, interruptible


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Decisions go here.")
@click.option("--errors", type=click.Path(dir_okay=False, path_type=Path), help="Refused rows go here (NDJSON).")
@click.option("--format", "given", type=click.Choice(("ndjson", "json", "csv", "parquet")), help="What FILE is.")
@click.option("--url", help="Where Tollgate answers.  [default: http://127.0.0.1:8000, or as TOLLGATE_PORT says]")
@api_key_option
def command(
    file: Path, out: Path, errors: Path | None, given: str | None, url: str | None, api_key: str | None
) -> None:
    """Score every transaction in FILE: CSV, NDJSON, a JSON array or Parquet, each but the last also as .gz.

    --out is written as NDJSON, CSV or Parquet, by its suffix, in the order of FILE. The server may restart meanwhile;
    after Ctrl-C the same command goes on. Exit code 0 when the batch was completed, 1 when it failed or was cancelled.
    """
    # Imported here: `tollgate score --help` needs none of it.
    from deploy.bulk import outputs, view
    from deploy.bulk.patience import Patience
    from deploy.bulk.scoring import ScoringRun
    from deploy.bulk.source import as_format, prepare

    outputs.require_writable(out, errors)
    server, console = bulk_server(url, api_key), Console(stderr=True)
    started = time.monotonic()
    with interruptible(console), _scratch(out) as (scratch, lines):
        source = prepare(file, as_format(given), scratch)
        with view.shown(console) as bar:
            run = ScoringRun(server, source, Patience(bar.say), bar)
            batch = run.follow(run.submit())
            run.fetch(batch["results"], lines)
            if errors is not None:
                run.fetch(batch["errors"], errors)
        actions = outputs.count_actions(lines)
        outputs.write_results(lines, out)
    console.print(view.score_summary(batch, actions, time.monotonic() - started))
    _tell_about_errors(console, batch, errors)
    sys.exit(0 if batch["status"] == "completed" else 1)


@contextmanager
def _scratch(out: Path) -> Iterator[tuple[Path, Path]]:
    """A directory for the upload, and a file beside `out` for the download, so that it can take its place."""
    lines = out.with_name(f"{out.name}.download")
    try:
        with tempfile.TemporaryDirectory(prefix="tollgate-score-") as scratch:
            yield Path(scratch), lines
    finally:
        lines.unlink(missing_ok=True)


def _tell_about_errors(console: Console, batch: dict[str, Any], errors: Path | None) -> None:
    if batch["error"]:
        console.print(f"{batch['error']['code']}: {batch['error']['detail']}", markup=False)
    if batch["request_counts"]["failed"] and errors is None:
        console.print("--errors FILE writes what was wrong with each refused row.")
