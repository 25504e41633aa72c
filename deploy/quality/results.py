"""What was measured, part by part, as docs/model-quality.json keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from deploy.quality.over_http import HttpFigures
from ml.measured.published import Protocol
from ml.measured.sparkov import SparkovFigures
from ml.measured.streams import Replayed

Part = Literal["protocol", "sparkov", "http", "stationary", "drift"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
FILE: Final = "model-quality.json"


class Run(msgspec.Struct, frozen=True):
    """When, how and on what a part was measured, and how long it took."""

    at: str
    command: str
    machine: str
    seconds: float


class Results(msgspec.Struct):
    """Each part is measured on its own; one that was never measured is None."""

    runs: dict[str, Run] = {}
    protocol: Protocol | None = None
    sparkov: SparkovFigures | None = None
    http: HttpFigures | None = None
    stationary: Replayed | None = None
    drift: Replayed | None = None


def read_results(directory: Path) -> Results:
    """What earlier runs left in `directory`; nothing when there is no file."""
    path = directory / FILE
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.is_file() else Results()


def write_results(results: Results, directory: Path) -> None:
    """Replace the file."""
    directory.mkdir(parents=True, exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(results), indent=1)
    (directory / FILE).write_bytes(encoded + b"\n")
