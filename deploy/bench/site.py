"""Where the servers of a benchmark run: a directory, free ports, processes that never outlive the run."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import click

from deploy.launcher.child import Child, Process, log_path
from deploy.launcher.processes import QUIET
from deploy.launcher.tether import Tether

MODEL_FILE = "model.joblib"
TEMPLATE_DIR = "template"
START_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.1
LOG_TAIL_CHARACTERS = 1500


class Site:
    """Starts and stops processes. Each leads a session of its own and is stopped by its process id.

    The launcher's guardian stops them should this process be killed. `model_file` is what the baselines
    serve, `tollgate_dir` the data directory of the measured Tollgate, `template_dir` what it starts as.
    """

    def __init__(self, work_dir: Path, repository: Path) -> None:
        self.work_dir = work_dir
        self.repository = repository
        self.model_file = work_dir / MODEL_FILE
        self.template_dir = work_dir / TEMPLATE_DIR
        self.tollgate_dir = work_dir / "tollgate"
        self._tether = Tether()

    def close(self) -> None:
        """End the guardian; to be called when every process has been stopped."""
        self._tether.close()

    @contextmanager
    def running(self, name: str, argv: tuple[str, ...], env: Mapping[str, str]) -> Iterator[Child]:
        """A process for the length of the block; its output goes to `work_dir/NAME.log`."""
        environment = {**os.environ, "PYTHONPATH": str(self.repository), **QUIET}
        child = Child(Process(name, argv, 0, env), log_dir=self.work_dir, environment=environment)
        self._tether.add(child.pid, 0)
        try:
            yield child
        finally:
            _stop(child)
            self._tether.remove(child.pid)

    def wait_until(self, is_up: Callable[[], bool], child: Child) -> None:
        """Return once `is_up` says so.

        Raises:
            click.ClickException: the process has ended, or the time is over; the message quotes its log.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_up():
            if child.has_ended() or time.monotonic() > deadline:
                log = log_path(self.work_dir, child.process.name).read_text(errors="replace")
                raise click.ClickException(f"{child.process.name} did not start:\n{log[-LOG_TAIL_CHARACTERS:]}")
            time.sleep(POLL_S)


def free_port() -> int:
    """A TCP port on loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, method: str, path: str, body: bytes | None = None) -> bool:
    """Whether the server on `port` answers this request with 200 within five seconds."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def fetch(port: int, path: str) -> str:
    """The body of a GET as text, whatever the status. Raises OSError when nobody answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode("utf-8", "replace")
    finally:
        connection.close()


def _stop(child: Child) -> None:
    """SIGTERM, and SIGKILL to its whole group for what is left."""
    child.signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while not child.has_ended() and time.monotonic() < deadline:
        time.sleep(POLL_S)
    child.bury()
