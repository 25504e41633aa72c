"""Redis clients with explicit time-outs and no hidden retries. Opens nothing until first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from config.settings import Settings

WORKER_TIMEOUT_S = 5.0


def make_redis(settings: Settings, *, timeout_s: float, connections: int = 16) -> redis.Redis:
    """A thread-safe client for `settings.redis_url`; answers are bytes.

    redis-py 8 retries ten times by default, so a write could be sent twice: here a failed command fails once.
    """
    pool: Any = redis.BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=connections,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_keepalive=True,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
    )
    return redis.Redis(connection_pool=pool)
