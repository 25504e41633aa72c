"""Health check of a worker's container: has the worker on this host been heard, and does it serve?

A process id says nothing about a worker that hangs; its heartbeat does. Exit code 0 or 1.
"""

from __future__ import annotations

import socket
import sys

from redis.exceptions import RedisError

from config.queue.connections import make_redis
from config.queue.stats import worker_reports
from config.settings import load_settings

HEALTHY = ("serving", "ready")


def is_healthy(host: str) -> bool:
    """Whether a worker on `host` reported within the last heartbeats and has what it needs."""
    settings = load_settings()
    try:
        reports = worker_reports(make_redis(settings, timeout_s=2.0), settings.heartbeat_s)
    except RedisError:
        return False
    return any(one.worker.partition("@")[2] == host and one.status in HEALTHY for one in reports)


if __name__ == "__main__":
    sys.exit(0 if is_healthy(socket.gethostname()) else 1)
