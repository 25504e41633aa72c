"""Pictures that commands write: the kind by the file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, get_args

import click

Kind = Literal["png", "svg"]
KINDS: Final = get_args(Kind)


def kind_of(path: Path) -> Kind:
    """By the ending. Raises click.UsageError: it is neither, or there is no such directory."""
    kind: Kind | None = next((one for one in KINDS if path.suffix.lower() == f".{one}"), None)
    if kind is None:
        raise click.UsageError(f"{path}: a picture's name ends with .png or .svg")
    if not path.parent.is_dir():
        raise click.UsageError(f"{path}: there is no directory {path.parent}")
    return kind


def write_picture(path: Path, draw: Callable[[Kind], bytes]) -> None:
    """Draw and write it."""
    path.write_bytes(draw(kind_of(path)))
    click.echo(f"picture: {path}", err=True)
