"""What the commands share that send files: which server, and what Ctrl-C does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click
from rich.console import Console

from config.settings import load_settings
from deploy.access import key_for
from deploy.bulk.server import BulkServer

INTERRUPTED: Final = 130


def bulk_server(url: str | None, api_key: str | None) -> BulkServer:
    """The server at `url`, or the one of the settings, and what it is shown. Raises BadParameter: it is no URL."""
    settings = load_settings()
    address = url or f"http://127.0.0.1:{settings.port}"
    try:
        return BulkServer(address, key=key_for(address, settings, api_key))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error


@contextmanager
def interruptible(console: Console) -> Iterator[None]:
    """Ctrl-C ends with what to do next, and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("Stopped. What the server has stays there: the same command goes on from it.")
        sys.exit(INTERRUPTED)
