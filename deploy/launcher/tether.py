"""The launcher's end of the guardian: tells it which process groups run, and starts it again if it dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GUARDIAN = Path(__file__).with_name("guardian.py")


class Tether:
    """Keeps one guardian process informed. `lock` is a file descriptor that the guardian holds on to."""

    def __init__(self, lock: int | None = None) -> None:
        self._lock = () if lock is None else (lock,)
        self._ranks: dict[int, int] = {}
        self._start()

    def add(self, group: int, rank: int) -> None:
        """A process group has started; `rank` is its place in the order of stopping."""
        self._ranks[group] = rank
        self._tell(f"+ {group} {rank}\n")

    def remove(self, group: int) -> None:
        """A process group has ended."""
        self._ranks.pop(group, None)
        self._tell(f"- {group}\n")

    def check(self) -> None:
        """Replace a guardian that has died."""
        if self._popen.poll() is None:
            return
        self._start()
        for group, rank in self._ranks.items():
            self._tell(f"+ {group} {rank}\n")

    def close(self) -> None:
        """Let the guardian finish: what is still registered is stopped."""
        self._pipe.close()
        self._popen.wait()

    def _start(self) -> None:
        read_end, write_end = os.pipe()
        self._popen = subprocess.Popen(  # noqa: S603  our own file
            [sys.executable, "-S", "-E", os.fspath(GUARDIAN)],
            stdin=read_end,
            start_new_session=True,
            pass_fds=self._lock,
        )
        os.close(read_end)
        self._pipe = os.fdopen(write_end, "wb", buffering=0)

    def _tell(self, line: str) -> None:
        try:
            self._pipe.write(line.encode())
        except BrokenPipeError:
            self.check()
