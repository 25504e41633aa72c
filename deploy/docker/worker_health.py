"""What a container's probes ask about its worker: `python -m deploy.docker.worker_health [--alive]`.

A process id says nothing about a worker that hangs; its heartbeat does. Exit code 0 or 1.

Without an option: does it serve? With `--alive`: should it be left running? That asks less. A worker that waits for a
model is alive; one that the launcher's watchdog would replace is not. While the broker is away nobody can tell, and a
restart would help nobody: then every worker is alive, or one broker outage would become a restart of the whole cluster.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time

from redis.exceptions import RedisError

from config.contracts import WorkerReport
from config.queue.connections import make_redis
from config.queue.stats import worker_reports
from config.settings import Settings, load_settings
from deploy.launcher.processes import PATIENCE
from deploy.launcher.watchdog import is_overdue, work_of

HEALTHY = ("serving", "ready")
BROKER_TIMEOUT_S = 2.0


def is_healthy(host: str) -> bool:
    """Whether a worker on `host` reported within the last heartbeats and has what it needs."""
    try:
        return any(one.status in HEALTHY for one in reports_of(host, load_settings()))
    except RedisError:
        return False


def is_alive(host: str, *, now: float) -> bool:
    """Whether a worker on `host` reports and is not stuck in one batch or task. `now`: Unix seconds."""
    settings = load_settings()
    try:
        reports = reports_of(host, settings)
    except RedisError:
        return True
    return any(not is_stuck(one, settings, now) for one in reports)


def reports_of(host: str, settings: Settings) -> list[WorkerReport]:
    """The reports of the last heartbeats from `host`. Raises RedisError."""
    client = make_redis(settings, timeout_s=BROKER_TIMEOUT_S)
    reports = worker_reports(client, settings.heartbeat_s)
    return [one for one in reports if one.worker.partition("@")[2] == host]


def is_stuck(report: WorkerReport, settings: Settings, now: float) -> bool:
    """Whether the worker has been in one batch or task for longer than the launcher's watchdog would allow it."""
    work = work_of(report)
    return work is not None and is_overdue(work, settings.watchdog_s * PATIENCE.get(report.role, 1.0), now)


def main(arguments: list[str]) -> int:
    """The exit code: 0 for yes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alive", action="store_true")
    host = socket.gethostname()
    answer = is_alive(host, now=time.time()) if parser.parse_args(arguments).alive else is_healthy(host)
    return 0 if answer else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
