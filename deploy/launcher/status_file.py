"""What runs, written for `tollgate status`: `.tollgate/run/up.json`, replaced whole on each change."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from deploy.launcher.supervisor import Fate, Watched, reason_of


class ProcessState(msgspec.Struct, frozen=True):
    """One process. `started_at`: Unix seconds; `pid` None: it is not running. `fate`: see the supervisor."""

    name: str
    pid: int | None
    restarts: int
    started_at: float
    last_exit: str | None
    fate: Fate


class UpState(msgspec.Struct, frozen=True):
    """One running launcher: its process id, when it started (Unix seconds), where, and its processes."""

    pid: int
    started_at: float
    host: str
    port: int
    redis_url: str
    data_dir: str
    schema: str
    processes: list[ProcessState]


def describe(watched: Watched, *, wall_minus_clock: float) -> ProcessState:
    """The state of one watched process; `wall_minus_clock` turns the supervisor's clock into Unix seconds."""
    return ProcessState(
        name=watched.process.name,
        pid=watched.child.pid if watched.child else None,
        restarts=watched.restarts,
        started_at=watched.started + wall_minus_clock,
        last_exit=None if watched.last_exit is None else reason_of(watched.last_exit),
        fate=watched.fate,
    )


def write_state(path: Path, state: UpState) -> None:
    """Replace the file in one step: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    aside.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2))
    os.replace(aside, path)


def read_state(path: Path) -> UpState | None:
    """The last state written; None when there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=UpState)
    except (OSError, msgspec.MsgspecError):
        return None
