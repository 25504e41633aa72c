"""`tollgate feedback FILE`: a file of labels, in pieces, to the decisions that they are about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from deploy.access import api_key_option
from deploy.bulk.command import bulk_server, interruptible


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--errors", type=click.Path(dir_okay=False, path_type=Path), help="Labels not kept go here (NDJSON).")
@click.option("--format", "given", type=click.Choice(("ndjson", "json", "csv", "parquet")), help="What FILE is.")
@click.option("--url", help="Where Tollgate answers.  [default: http://127.0.0.1:8000, or as TOLLGATE_PORT says]")
@api_key_option
@click.option("--connections", type=click.IntRange(1, 64), default=2, show_default=True, help="HTTP connections.")
def command(
    file: Path, errors: Path | None, given: str | None, url: str | None, api_key: str | None, connections: int
) -> None:
    """Send every label in FILE: CSV, NDJSON, a JSON array or Parquet, each but the last also as .gz.

    Columns: transaction_id or decision_id, is_fraud, and optionally source, reason_code, known_at, amount, label_id;
    others are left out. A label that was sent before changes nothing, so after Ctrl-C the same command goes on.
    """
    # Imported here: `tollgate feedback --help` needs none of it.
    from deploy.bulk import view
    from deploy.bulk.label_run import LabelRun
    from deploy.bulk.labels import read_labels
    from deploy.bulk.patience import Patience
    from deploy.bulk.source import as_format, format_of

    form, console = as_format(given) or format_of(file), Console(stderr=True)
    server = bulk_server(url, api_key)
    started = time.monotonic()
    with interruptible(console), _reporting_to(errors) as report, view.shown(console) as bar:
        total = sum(1 for _ in read_labels(file, form))
        on_rows = lambda done: bar.show("sending", done, total, f"{done:,} of {total:,} labels")  # noqa: E731
        run = LabelRun(server, Patience(bar.say), file.name, report, on_rows, connections)
        run.run(read_labels(file, form))
    console.print(view.label_summary(run.tally, time.monotonic() - started))


@contextmanager
def _reporting_to(errors: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Writes a line per label that was not kept."""
    if errors is None:
        yield lambda _problem: None
        return
    with errors.open("wb") as file:
        yield lambda problem: file.writelines((msgspec.json.encode(problem), b"\n"))
