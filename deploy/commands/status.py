"""`tollgate status`: what is up, with versions, queue depths and the champion."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from config.settings import load_settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON object.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Whose stack [TOLLGATE_DATA_DIR].")
def command(as_json: bool, data_dir: Path | None) -> None:
    """Say what is up: processes, versions, queues, champion.

    Exit code 0 when Tollgate is scoring, 1 when it is down or not ready.
    """
    # Imported here: `tollgate status --help` needs neither the broker's client nor tables.
    from rich.console import Console

    from deploy.launcher.look import look
    from deploy.launcher.status_table import render

    seen = look(load_settings(**({"data_dir": data_dir} if data_dir else {})))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(seen), indent=2).decode())
    else:
        Console().print(render(seen))
    sys.exit(0 if seen.is_healthy else 1)
