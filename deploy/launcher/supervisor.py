"""Starts processes, starts again what dies, stops everything in order. Knows nothing about what they do."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from deploy.launcher.child import Child, Process

TURN_S = 0.1
GRACE_S = 20.0
QUICK_CRASH_S = 5.0
BACKOFF_S = (0.0, 0.2, 0.5, 1.0, 2.0)
# sysexits.h EX_UNAVAILABLE: the process says that it cannot run on this machine; starting it again is no use.
UNAVAILABLE = 69

Fate = Literal["restart", "done", "given up", "unavailable"]
SAID: dict[Fate, str] = {
    "restart": "is started again",
    "given up": "is not tried again before the next start",
    "unavailable": "is not available here, going on without",
}


class StopRequested(Exception):
    """Somebody asked the launcher to stop while it was waiting for something else."""


class Groups(Protocol):
    """Who must know which process groups run (the guardian)."""

    def add(self, group: int, rank: int) -> None: ...
    def remove(self, group: int) -> None: ...
    def check(self) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Watched:
    """A process that is kept running, and what happened to it. Times: the supervisor's clock, seconds.

    `fate`: what its next end, or its last one, comes to.
    """

    process: Process
    child: Child | None = None
    started: float = 0.0
    restart_at: float = 0.0
    restarts: int = 0
    quick_crashes: int = 0
    last_exit: int | None = None
    fate: Fate = "restart"


class Supervisor:
    """Keeps processes running until it is asked to stop. Not thread-safe, except `request_stop`.

    `parent`: when this process id is no longer the launcher's parent, that counts as a request to stop.
    """

    def __init__(
        self,
        *,
        log_dir: Path,
        environment: Mapping[str, str],
        groups: Groups,
        say: Callable[[str], None],
        parent: int | None = None,
        turn_s: float = TURN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.watched: dict[str, Watched] = {}
        self._log_dir = log_dir
        self._environment = environment
        self._groups = groups
        self._say = say
        self._parent = parent
        self._turn_s = turn_s
        self._clock = clock
        self._stop = threading.Event()
        self.on_change: Callable[[], None] = lambda: None

    def start(self, process: Process) -> None:
        """Start a process and keep it running."""
        watched = self.watched[process.name] = Watched(process)
        self._spawn(watched)
        self.on_change()

    def run(self, process: Process) -> int:
        """Run a process to its end while the others are watched; returns its exit status.

        Raises:
            StopRequested: the process is then stopped.
        """
        child = self._started(process)
        try:
            while not child.has_ended():
                self.turn()
        except StopRequested:
            self._end([child])
            raise
        return self._bury(child)

    def turn(self) -> None:
        """One round of watching, `turn_s` long.

        Raises:
            StopRequested: a stop was asked for.
        """
        self._groups.check()
        for watched in self.watched.values():
            self._look_at(watched)
        if self._stop.wait(self._turn_s) or self._is_orphaned():
            raise StopRequested

    def request_stop(self) -> None:
        """Make the current or next `turn` raise StopRequested. Safe in a signal handler."""
        self._stop.set()

    def replace(self, name: str, reason: str) -> None:
        """Kill a process that hangs; the next `turn` starts it again."""
        child = self.watched[name].child
        if child is not None:
            self._say(f"{name} {reason}: killed")
            child.signal(signal.SIGKILL)

    def stop(self) -> None:
        """Stop everything, lowest rank first; within a rank together. SIGKILL after 20 s."""
        for rank in sorted({watched.process.rank for watched in self.watched.values()}):
            of_rank = [w for w in self.watched.values() if w.process.rank == rank]
            self._end([watched.child for watched in of_rank if watched.child is not None])
        self.watched.clear()
        self.on_change()
        self._groups.close()

    def _is_orphaned(self) -> bool:
        return self._parent is not None and os.getppid() != self._parent

    def _look_at(self, watched: Watched) -> None:
        if watched.child is not None and watched.child.has_ended():
            self._note_death(watched, self._bury(watched.child))
        if watched.child is None and watched.fate == "restart" and self._clock() >= watched.restart_at:
            self._spawn(watched)
            watched.restarts += 1
            self.on_change()

    def _note_death(self, watched: Watched, status: int) -> None:
        now = self._clock()
        watched.child, watched.last_exit = None, status
        watched.quick_crashes = watched.quick_crashes + 1 if now - watched.started < QUICK_CRASH_S else 0
        watched.restart_at = now + BACKOFF_S[min(watched.quick_crashes, len(BACKOFF_S) - 1)]
        watched.fate = _fate_of(watched.process, status)
        if watched.fate != "done":
            self._say(f"{watched.process.name} ended ({reason_of(status)}) and {SAID[watched.fate]}")
        self.on_change()

    def _spawn(self, watched: Watched) -> None:
        watched.child = self._started(watched.process)
        watched.started = self._clock()

    def _started(self, process: Process) -> Child:
        child = Child(process, log_dir=self._log_dir, environment=self._environment)
        self._groups.add(child.pid, process.rank)
        return child

    def _bury(self, child: Child) -> int:
        status = child.bury()
        self._groups.remove(child.pid)
        return status

    def _end(self, children: list[Child]) -> None:
        for child in children:
            child.signal(signal.SIGTERM)
        deadline = self._clock() + GRACE_S
        while not all(child.has_ended() for child in children) and self._clock() < deadline:
            time.sleep(self._turn_s / 2)
        for child in children:
            self._bury(child)


def _fate_of(process: Process, status: int) -> Fate:
    if status == UNAVAILABLE:
        return "unavailable"
    if not process.once:
        return "restart"
    return "given up" if status else "done"


def reason_of(status: int) -> str:
    """An exit status in words: "exit 1", "SIGKILL"."""
    if status >= 0:
        return f"exit {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
