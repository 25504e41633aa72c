"""Which ports `tollgate up` needs, and whether they are free."""

from __future__ import annotations

import socket
from typing import NamedTuple

from config.errors import SettingInvalid
from config.settings import Settings
from deploy.launcher.valkey import is_embedded


class Port(NamedTuple):
    """A port that is about to be bound: who wants it, where, and which setting moves it."""

    owner: str
    host: str
    number: int
    setting: str


def needed_ports(settings: Settings) -> list[Port]:
    """The ports of everything that would start with these settings."""
    ports = [Port("the web server", settings.host, settings.port, "TOLLGATE_PORT (or --port)")]
    if is_embedded(settings):
        ports.append(Port("Valkey", "127.0.0.1", settings.redis_port, "TOLLGATE_REDIS_PORT"))
    if runs_mlflow(settings):
        ports.append(Port("MLflow", "127.0.0.1", settings.mlflow_port, "TOLLGATE_MLFLOW_PORT"))
    if settings.exporter_enabled:
        ports.append(Port("celery-exporter", "127.0.0.1", settings.exporter_port, "TOLLGATE_EXPORTER_PORT"))
    return ports


def runs_mlflow(settings: Settings) -> bool:
    """Whether the MLflow server is ours to start: not when it is off, or the URL names another server."""
    return settings.mlflow_enabled and settings.mlflow_tracking_uri == f"http://127.0.0.1:{settings.mlflow_port}"


def require_free(ports: list[Port]) -> None:
    """Return when every port can be bound.

    Raises:
        SettingInvalid: some cannot; the message names each port, its owner and its setting.
    """
    clashes = [
        f"port {one.number} is wanted by both {one.owner} and {other.owner}: change {one.setting}"
        for i, one in enumerate(ports)
        for other in ports[:i]
        if one.number == other.number
    ]
    busy = [
        f"port {port.number} on {port.host}, wanted for {port.owner}, cannot be used ({reason}):"
        f" stop what uses it, or set {port.setting} to another port"
        for port in ports
        if (reason := _why_not(port))
    ]
    if clashes or busy:
        raise SettingInvalid("\n".join(clashes + busy))


def _why_not(port: Port) -> str:
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Without it, connections of a server that has just stopped would keep the port for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
            probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""
