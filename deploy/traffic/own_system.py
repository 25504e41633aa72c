"""A Tollgate of the demo's own: `tollgate up` as a child, quick to show what it knows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

STOP_WITHIN_S: Final = 90.0
EAGER: Final = {
    "TOLLGATE_QUALITY_ROLL_UP_S": "15",
    "TOLLGATE_DRIFT_INTERVAL_S": "15",
    "TOLLGATE_QUALITY_TOP_K": "10",
}
"""Nobody watches a demo for an hour, and its days have hundreds of payments. What the environment says comes first."""


@dataclass(frozen=True, slots=True)
class OwnSystem:
    """The child. It stops by itself when this process is gone."""

    launcher: subprocess.Popen[bytes]

    def require_running(self) -> None:
        """Raises ClickException when it has ended; what it said is above."""
        code = self.launcher.poll()
        if code is not None:
            raise click.ClickException(f"Tollgate did not start (exit code {code}); its message is above")


@contextmanager
def own_system(*, data_dir: Path) -> Iterator[OwnSystem]:
    """Start it, with its data in `data_dir`; stop it in order when the block ends."""
    command = [sys.executable, "-m", "deploy.cli", "up", "--with-parent", "--data-dir", str(data_dir)]
    # A session of its own: Ctrl-C ends the demo first, and the system once the last answer is there.
    launcher = subprocess.Popen(command, env={**EAGER, **os.environ}, start_new_session=True)  # noqa: S603  # our own command
    try:
        yield OwnSystem(launcher)
    finally:
        launcher.terminate()
        launcher.wait(STOP_WITHIN_S)
