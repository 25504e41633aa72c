"""A granian with the web side around a gateway in memory, and a socket that speaks as much HTTP as tests need."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import free_port

REPOSITORY = Path(__file__).parents[1]
SERVER_THREADS = 8
HEADER_TIMEOUT_MS = 3000
HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Answered:
    """One HTTP answer as read from a socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """A socket to the server that speaks as much HTTP as the tests need."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._stream = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, body: bytes, *headers: bytes, path: bytes = b"/predict") -> Answered:
        lines = b"".join(header + b"\r\n" for header in headers)
        self.send(HEAD % path + b"Content-Length: %d\r\n" % len(body) + lines + b"\r\n" + body)
        return self.read()

    def read(self) -> Answered:
        """The next answer; a 100 Continue counts as one."""
        status = int(self._stream.readline().split()[1])
        headers = {}
        while line := self._stream.readline().strip():
            name, _, text = line.decode().partition(":")
            headers[name.lower()] = text.strip()
        body = self._stream.read(int(headers.get("content-length", 0)))
        return Answered(status, headers, body)

    def has_answer(self) -> bool:
        """Whether something can be read now."""
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        finally:
            self.socket.settimeout(10)

    def close(self) -> None:
        self._stream.close()
        self.socket.close()


@dataclass(frozen=True)
class RunningGranian:
    """One server process with one worker."""

    port: int
    pid: int

    def worker_pid(self) -> int:
        """The process that answers now."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])

    def worker_peak_bytes(self) -> int:
        """The most memory that the worker process ever had."""
        status = Path(f"/proc/{self.worker_pid()}/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])


@contextmanager
def running_granian(data_dir: Path, **settings: str) -> Iterator[RunningGranian]:
    """Few threads, so that one held for ever would be noticed. `settings`: by their names, such as `port`."""
    port = free_port()
    command = [sys.executable, "-m", "web.server", "--interface", "wsgi", "--factory", "--host", "127.0.0.1"]
    command += [
        "--port",
        str(port),
        "--workers",
        "1",
        "--blocking-threads",
        str(SERVER_THREADS),
        "--http1-header-read-timeout",
        str(HEADER_TIMEOUT_MS),
        "--respawn-failed-workers",
        "--workers-kill-timeout",
        "10",
        "tests.memory_wsgi:make_app",
    ]
    given = {f"TOLLGATE_{name.upper()}": value for name, value in settings.items()}
    environment = {
        **os.environ,
        "TOLLGATE_DATA_DIR": str(data_dir),
        "TOLLGATE_WEB_THREADS": str(SERVER_THREADS),
        **given,
    }
    server = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_listening(port, server)
        yield RunningGranian(port, server.pid)
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_listening(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended at once"
        try:
            connection = Connection(port)
            connection.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            is_up = connection.read().status == 200
            connection.close()
        except (OSError, IndexError):
            is_up = False
        if is_up:
            return
        time.sleep(0.05)
    raise AssertionError("the server did not listen within 30 s")
