"""A whole Tollgate, started by `tollgate up` on ports of its own, stopped by the launcher's process id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import free_port

START_LIMIT_S = 300.0
STOP_LIMIT_S = 90.0
POLL_S = 0.1


@dataclass
class RunningStack:
    """`start` returns when /health is 200, `stop` when the launcher has ended. Data stays."""

    data_dir: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = (sys.executable, "-m", "deploy.cli", "up")
    ports: dict[str, int] = field(default_factory=dict)
    launcher: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        for name in ("PORT", "REDIS_PORT", "MLFLOW_PORT", "EXPORTER_PORT"):
            self.ports.setdefault(name, free_port())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['PORT']}"

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.ports['REDIS_PORT']}/0"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['MLFLOW_PORT']}"

    @property
    def environment(self) -> dict[str, str]:
        ports = {f"TOLLGATE_{name}": str(number) for name, number in self.ports.items()}
        return {**os.environ, "TOLLGATE_DATA_DIR": str(self.data_dir), **ports, **self.extra}

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the launcher and return at once. Its output goes to `up.log` beside the data."""
        with (self.data_dir.parent / f"{self.data_dir.name}-up.log").open("ab") as log:
            self.launcher = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self.launcher

    def start(self) -> None:
        """Start and wait until a warmed worker has answered."""
        launcher = self.launch()
        self.wait_until(lambda: self.get("/health")[0] == 200 or launcher.poll() is not None, START_LIMIT_S)
        assert launcher.poll() is None, self.output()

    def output(self) -> str:
        """Everything the launcher has printed, of every start."""
        return (self.data_dir.parent / f"{self.data_dir.name}-up.log").read_text(errors="replace")

    def state(self) -> dict[str, Any]:
        """What the launcher says it runs."""
        loaded: dict[str, Any] = json.loads((self.data_dir / "run" / "up.json").read_bytes())
        return loaded

    def pid(self, name: str) -> int | None:
        """The process id of one process; None while it is not running, or not yet (/health is 200 before the last)."""
        return next((one["pid"] for one in self.state()["processes"] if one["name"] == name), None)

    def processes(self) -> set[int]:
        """Every process of the stack, children of children too: all that carry its data directory's mark."""
        mark = f"TOLLGATE_DATA_DIR={self.data_dir}".encode()
        return {pid for pid in _all_pids() if mark in _environment_of(pid).split(b"\0") and _is_alive(pid)}

    def stop(self) -> int:
        """SIGTERM to the launcher; returns its exit code."""
        assert self.launcher is not None
        self.launcher.send_signal(signal.SIGTERM)
        return self.launcher.wait(STOP_LIMIT_S)

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON body of a GET; status 0 when nobody answers."""
        return self.request("GET", path)

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON body of a POST; status 0 when nobody answers."""
        return self.request("POST", path, json.dumps(body).encode(), headers)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        given = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"{self.url}{path}", body, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, _decoded(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decoded(error.read())
        except OSError:
            return 0, None

    def tollgate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another `tollgate` command against this stack."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.cli", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_LIMIT_S,
        )

    def wait_until(self, is_true: Callable[[], bool], limit_s: float) -> None:
        """Return when `is_true` says so; fails with the launcher's output after `limit_s`."""
        deadline = time.monotonic() + limit_s
        while not is_true():
            assert time.monotonic() < deadline, f"not within {limit_s:.0f} s\n{self.output()}"
            time.sleep(POLL_S)


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
