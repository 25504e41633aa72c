"""One supervised process in a session of its own: start, notice its end, signal its whole group.

A session of its own keeps a Ctrl-C in the terminal from reaching Valkey before the workers have finished.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

KEPT_LOGS = 3


@dataclass(frozen=True, slots=True)
class Process:
    """What to run. `rank` is the order of stopping: the lowest first.

    `env` is added to the launcher's environment. `to_terminal`: its output goes to the terminal (progress
    bars), not to a log. `worker`: its name in the heartbeat registry, if the watchdog is to watch it;
    `patience`: how many times longer than others it may take. `once`: it has a job to finish and is not
    started again.
    """

    name: str
    argv: tuple[str, ...]
    rank: int
    env: Mapping[str, str] = field(default_factory=dict)
    to_terminal: bool = False
    worker: str | None = None
    patience: float = 1.0
    once: bool = False


class Child:
    """A started `Process`. Starts in the constructor; the group's id is its `pid`."""

    def __init__(self, process: Process, *, log_dir: Path, environment: Mapping[str, str]) -> None:
        self.process = process
        self._popen = _spawn(process, log_dir, {**environment, **process.env})
        self.pid = self._popen.pid

    def has_ended(self) -> bool:
        """Whether the process itself has ended; left uncollected, so that its group id stays its own."""
        if self._popen.returncode is not None:
            return True
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; nothing happens when it is gone."""
        if self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def bury(self) -> int:
        """Kill what its group left behind and collect the exit status (negative: the signal that ended it).

        Waits for the process: call it after `has_ended`, or after SIGKILL.
        """
        self.signal(signal.SIGKILL)
        return self._popen.wait()


def _spawn(process: Process, log_dir: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    if process.to_terminal:
        return subprocess.Popen(process.argv, env=environment, start_new_session=True)  # noqa: S603  ours
    with log_path(log_dir, process.name).open("ab") as log:
        return subprocess.Popen(  # noqa: S603  our own argv
            process.argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def log_path(log_dir: Path, name: str) -> Path:
    """Where a process's output goes."""
    return log_dir / f"{name}.log"


def rotate_logs(log_dir: Path) -> None:
    """Move each log of the last run aside: NAME.log.1 is the newest, three are kept."""
    for log in sorted(log_dir.glob("*.log")):
        for age in range(KEPT_LOGS - 1, 0, -1):
            older = log.with_name(f"{log.name}.{age}")
            if older.exists():
                older.replace(log.with_name(f"{log.name}.{age + 1}"))
        log.replace(log.with_name(f"{log.name}.1"))
