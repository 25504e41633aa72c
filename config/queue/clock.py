"""Time as the Redis server sees it: the one clock that deadlines are compared on."""

from __future__ import annotations

import time

import redis


class ServerClock:
    """The server's time, estimated from this machine's clock and an offset measured now and then."""

    def __init__(self) -> None:
        self.offset_ms = 0.0

    def now_ms(self) -> int:
        """Unix milliseconds on the server's clock."""
        return int(time.time() * 1000 + self.offset_ms)

    def measure(self, client: redis.Redis) -> float:
        """Ask the server (one TIME) and keep the offset in ms, half the round trip taken off. Raises RedisError."""
        before = time.time()
        seconds, microseconds = client.time()
        middle = (before + time.time()) / 2
        self.offset_ms = (seconds + microseconds / 1e6 - middle) * 1000
        return self.offset_ms
