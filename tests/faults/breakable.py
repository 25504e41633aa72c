"""Processes that a scenario may kill: each in a session of its own, with a log, signalled by its process id."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.launcher.child import Child, Process
from deploy.launcher.tether import Tether

STOP_LIMIT_S = 30.0
TURN_S = 0.05


class BreakableProcesses:
    """Starts, stops and kills by name. What a scenario kills it starts again itself, at once: nobody else does.

    The launcher's guardian stops them should the test run itself be killed.
    `deaths`: the names of those that died by themselves and were revived.
    """

    def __init__(self, log_dir: Path, environment: Callable[[], dict[str, str]], describe: Callable[[], str]) -> None:
        self.log_dir = log_dir
        self.children: dict[str, Child] = {}
        self.started_at: dict[str, float] = {}
        self.deaths: list[str] = []
        self._tether = Tether()
        self._environment = environment
        self._state = describe

    def start(self, process: Process) -> Child:
        """Start one process."""
        self.started_at[process.name] = time.time()
        child = self.children[process.name] = Child(process, log_dir=self.log_dir, environment=self._environment())
        self._tether.add(child.pid, process.rank)
        return child

    def replace(self, process: Process) -> Child:
        """Kill the process of that name, if there is one, and start this one in its place."""
        self.kill(process.name)
        return self.start(process)

    def restart(self, name: str) -> Child:
        """SIGKILL to the process, and the same one again at once."""
        process = self.children[name].process
        self.kill(name)
        return self.start(process)

    def kill(self, name: str) -> None:
        """SIGKILL to the process and all of its children."""
        child = self.children.pop(name, None)
        if child is not None:
            self._bury(child)

    def revive(self) -> list[str]:
        """Start again whatever has died by itself; returns the names."""
        dead = [name for name, child in self.children.items() if child.has_ended()]
        for name in dead:
            self.restart(name)
        self.deaths += dead
        return dead

    @contextmanager
    def frozen(self, *frozen: str) -> Iterator[None]:
        """Stop these processes in place (SIGSTOP): they keep their connections, and go on after the block."""
        for name in frozen:
            self.children[name].signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for name in frozen:
                if name in self.children:
                    self.children[name].signal(signal.SIGCONT)

    def end(self, name: str, limit_s: float = STOP_LIMIT_S) -> float:
        """SIGTERM; returns how many seconds the process took to end. Fails when it does not within `limit_s`."""
        child, began = self.children[name], time.monotonic()
        child.signal(signal.SIGTERM)
        self.wait_until(child.has_ended, limit_s)
        took_s = time.monotonic() - began
        self._bury(self.children.pop(name))
        return took_s

    def wait_until(self, is_true: Callable[[], bool], limit_s: float) -> None:
        """Return when `is_true` says so; fails with the ends of all logs after `limit_s`."""
        deadline = time.monotonic() + limit_s
        while not is_true():
            assert time.monotonic() < deadline, f"not within {limit_s:.0f} s; {self._state()}\n{self.log_tails()}"
            time.sleep(TURN_S)

    def log_tails(self, lines: int = 12) -> str:
        """The end of every process's log."""
        tails = []
        for log in sorted(self.log_dir.glob("*.log")):
            text = log.read_text(errors="replace")
            tails.append("\n".join([f"--- {log.name}", *(line[:300] for line in text.splitlines()[-lines:])]))
        return "\n".join(tails)

    def bury_all(self) -> None:
        """Kill everything that is left, and let the guardian go."""
        for name in list(self.children):
            self.kill(name)
        self._tether.close()

    def _bury(self, child: Child) -> None:
        child.bury()
        self._tether.remove(child.pid)
