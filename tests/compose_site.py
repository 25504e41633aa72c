"""The processes of docker-compose.yml without containers: the same commands and settings, other addresses and places.

What a container would have of its own is mapped: service names and ports to this machine's, `/data`, `/models`,
`/blobs`, `/etc/valkey` and those of certificates to directories, `python` to this interpreter. Everything else is as it
stands in the file.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deployment_files import REPOSITORY, command_words, fill_in, load_compose
from tests.servers import free_port
from tests.tls_servers import DATABASE_PASSWORD, Certificates

STOP_LIMIT_S = 60.0
SECRETS = {
    "VALKEY_PASSWORD": "brokerSecret1",
    "VALKEY_WEB_PASSWORD": "webSecret1",
    "VALKEY_EXPORTER_PASSWORD": "exporterSecret1",
    "POSTGRES_PASSWORD": DATABASE_PASSWORD,
    "TOLLGATE_ADMIN_KEY": "the-admin-key-of-these-tests-00001",
    "TOLLGATE_METRICS_KEY": "the-metrics-key-of-these-tests-0001",
}
IMAGES_PACKAGES = re.compile(r"^/venv/lib/python3\.\d+/site-packages/")


@dataclass
class ComposeSite:
    """Starts services by name; `stop` ends them all, the broker last. `home` holds what the volumes would."""

    home: Path
    certificates: Certificates
    database_port: int
    ports: dict[str, int] = field(default_factory=dict)
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.services: dict[str, dict[str, Any]] = load_compose()["services"]
        self.ports.update({name: free_port() for name in ("valkey", "web", "mlflow")})
        for name in ("data", "models", "blobs", "valkey", "acl", "bin", "logs"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        self.ports["postgres"] = self.database_port

    @property
    def redis_url(self) -> str:
        return self.environment("background")["TOLLGATE_REDIS_URL"]

    @property
    def database_url(self) -> str:
        return self.environment("web")["TOLLGATE_DATABASE_URL"]

    def environment(self, name: str) -> dict[str, str]:
        """What the container would find: nothing of this machine's settings, the image's, then the service's."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("TOLLGATE_", "MLFLOW_"))}
        given = {key: fill_in(str(value), SECRETS) for key, value in self.services[name].get("environment", {}).items()}
        if "TOLLGATE_WORKER_METRICS_PORT" in given:
            given["TOLLGATE_WORKER_METRICS_PORT"] = str(self.ports.setdefault(f"{name}-metrics", free_port()))
        of_the_container = {key: self._here(value, name) for key, value in {**image_environment(), **given}.items()}
        return {**inherited, **of_the_container, "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}"}

    def command(self, name: str) -> list[str]:
        """The service's command for this machine."""
        words = [self._here(word, name) for word in command_words(self.services[name])]
        port = "--tls-port" if name == "valkey" else "--port"
        for flag, value in (("--host", "127.0.0.1"), (port, str(self.ports.get(name)))):
            if flag in words:
                words[words.index(flag) + 1] = value
        if name == "valkey":
            words += ["--bind", "127.0.0.1"]
        return [sys.executable if word == "python" else word for word in words]

    def start(self, *names: str) -> None:
        """Start services in sessions of their own; each writes to a log named for it."""
        for name in names:
            with (self.home / "logs" / f"{name}.log").open("ab") as log:
                self.started[name] = subprocess.Popen(
                    self.command(name),
                    env=self.environment(name),
                    cwd=REPOSITORY,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def log(self, name: str) -> str:
        """What a service has printed."""
        return (self.home / "logs" / f"{name}.log").read_text(errors="replace")

    def ended(self) -> dict[str, int]:
        """The exit codes of the services that have ended by themselves."""
        return {name: code for name, one in self.started.items() if (code := one.poll()) is not None}

    def stop(self) -> dict[str, int]:
        """SIGTERM to everything but the broker, then to the broker; the exit codes."""
        for names in ([name for name in self.started if name != "valkey"], ["valkey"]):
            running = [self.started[name] for name in names if name in self.started]
            for process in running:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            for process in running:
                _wait_or_kill(process)
        return self.ended()

    def _here(self, text: str, name: str) -> str:
        for remote, port in (("valkey:6379", "valkey"), ("mlflow:5000", "mlflow"), ("postgres:5432", "postgres")):
            if f"@{remote}" in text or f"//{remote}" in text:
                text = text.replace(remote, f"127.0.0.1:{self.ports[port]}")
        text = IMAGES_PACKAGES.sub(f"{REPOSITORY}/", text)
        places: Mapping[str, Path] = {
            "/etc/valkey": REPOSITORY / "deploy" / "valkey",
            "/run/valkey": self.home / "acl",
            "/authority": self.certificates.authority.parent,
            "/certificate": self.certificates.of("valkey"),
            "/models": self.home / "models",
            "/blobs": self.home / "blobs",
            "/data": self.home / ("valkey" if name == "valkey" else "data"),
        }
        for inside, here in places.items():
            # `sqlite:////data/...` is a path too, and so is what follows `ssl_ca_certs=`.
            text = re.sub(rf"(^(?:[a-z]+:///)?|=){inside}(?=/|$)", rf"\g<1>{here}", text)
        return text


def image_environment() -> dict[str, str]:
    """The variables that the Dockerfile gives every container, but the search path."""
    dockerfile = (REPOSITORY / "deploy" / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = re.findall(r"^ENV (.*)$", dockerfile, re.MULTILINE)
    pairs = dict(word.split("=", 1) for line in lines for word in shlex.split(line))
    return {name: value for name, value in pairs.items() if name != "PATH"}


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
