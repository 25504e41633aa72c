"""One look at a running Tollgate from outside: what `tollgate status` says. Starts and changes nothing."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from typing import Any

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from config.contracts import ChampionPointer, WorkerReport
from config.pids import is_alive
from config.queue.connections import make_redis
from config.queue.stats import queue_stats, read_champion, worker_reports
from config.settings import Settings
from deploy.access import key_for
from deploy.launcher.health import ask_health, reachable_at
from deploy.launcher.stack import status_path
from deploy.launcher.status_file import ProcessState, UpState, read_state
from deploy.launcher.valkey import without_password

BROKER_TIMEOUT_S = 1.0


class ProcessLook(msgspec.Struct, frozen=True):
    """One process of this machine's launcher. `state`: running, restarting, done, given up, unavailable."""

    name: str
    state: str
    pid: int | None
    uptime_s: float | None
    restarts: int
    last_exit: str | None


class Look(msgspec.Struct, frozen=True):
    """Everything that `tollgate status` knows. What could not be asked is None or empty."""

    is_up: bool
    is_healthy: bool
    url: str
    data_dir: str
    schema: str
    versions: dict[str, str | None]
    processes: list[ProcessLook]
    health: dict[str, Any] | None
    broker: str
    queues: dict[str, int]
    workers: list[WorkerReport]
    champion: ChampionPointer | None


class BrokerLook(msgspec.Struct, frozen=True):
    """What the broker says; `version` is None when it does not answer."""

    version: str | None = None
    queues: dict[str, int] = {}
    workers: list[WorkerReport] = []
    champion: ChampionPointer | None = None


def look(settings: Settings, *, now: float | None = None) -> Look:
    """Ask the launcher's file, the web server and the broker; takes at most about 5 s and never raises."""
    now = time.time() if now is None else now
    state = read_state(status_path(settings))
    if state is not None and not is_alive(state.pid):
        state = None
    host, port = (state.host, state.port) if state else (reachable_at(settings.host), settings.port)
    code, health = ask_health(host, port, key_for(f"http://{host}:{port}", settings))
    broker = ask_broker(make_redis(_where_broker_is(settings, state), timeout_s=BROKER_TIMEOUT_S), settings)
    return Look(
        is_up=state is not None or code is not None,
        is_healthy=code == 200,
        url=f"http://{host}:{port}",
        data_dir=str(state.data_dir if state else settings.data_dir),
        schema=str(state.schema if state else settings.schema_file),
        versions={
            "tollgate": version("tollgate"),
            "python": platform.python_version(),
            "valkey": broker.version,
        },
        processes=[describe(process, now) for process in state.processes] if state else [],
        health=health,
        broker="up" if broker.version is not None else "down",
        queues=broker.queues,
        workers=broker.workers,
        champion=broker.champion,
    )


def describe(process: ProcessState, now: float) -> ProcessLook:
    """A process of the launcher's file, as of `now` (Unix seconds)."""
    state = "running" if process.pid else "restarting" if process.fate == "restart" else process.fate
    uptime_s = round(max(0.0, now - process.started_at), 1) if process.pid else None
    return ProcessLook(process.name, state, process.pid, uptime_s, process.restarts, process.last_exit)


def ask_broker(client: Redis, settings: Settings) -> BrokerLook:
    """Versions, depths, workers and champion; empty when the broker does not answer."""
    try:
        about = client.info("server")
        return BrokerLook(
            version=str(about.get("valkey_version") or about.get("redis_version")),
            queues={name: int(value) for name, value in queue_stats(client).items()},
            workers=worker_reports(client, settings.heartbeat_s),
            champion=read_champion(client),
        )
    except (RedisError, msgspec.MsgspecError):
        return BrokerLook()


def _where_broker_is(settings: Settings, state: UpState | None) -> Settings:
    # The launcher may have been given another port than this shell knows; its file leaves the password out.
    if state is None or without_password(settings.redis_url) == state.redis_url:
        return settings
    return settings.model_copy(update={"redis_url": state.redis_url})
