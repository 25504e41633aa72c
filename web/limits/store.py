"""Where requests are counted: in Redis, one round trip a count; in memory where there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import redis
import structlog

from config import names
from config.queue.connections import make_redis
from config.queue.server_scripts import register
from config.settings import Settings
from web.breaker import Breaker

CONNECTIONS: Final = 16
_log = structlog.get_logger("tollgate.web")


class Counted(NamedTuple):
    """What a window has counted, this time included, and for how many seconds it goes on."""

    total: int
    ends_in_s: float


class LimitStore(Protocol):
    """Counts against budgets. Thread-safe."""

    def add(self, counter: str, amount: int, period_s: int) -> Counted | None:
        """Count `amount` in the counter's present window, which lasts `period_s` from its first count.

        None when nothing could be counted: whoever asks is let through. Raises nothing.
        """


class RedisLimitStore:
    """The broker counts. While it is down nothing is counted and everybody is let through: what needs it answers 503
    anyway, and what does not, such as health and pages, is what an operator looks at then.
    """

    def __init__(self, settings: Settings, client: redis.Redis | None = None) -> None:
        timeout_s = settings.broker_timeout_s
        self._client = client or make_redis(settings, timeout_s=timeout_s, connections=CONNECTIONS)
        self._count = register(self._client, "count")
        self._breaker = Breaker(settings.breaker_reset_s)

    def add(self, counter: str, amount: int, period_s: int) -> Counted | None:
        """See `LimitStore.add`."""
        if not self._breaker.allows():
            return None
        try:
            found: Any = self._count(keys=[names.limit_key(counter)], args=[amount, period_s * 1000])
        except redis.RedisError as error:
            self._breaker.failed()
            _log.warning("requests_not_counted", reason=str(error))
            return None
        self._breaker.succeeded()
        return Counted(int(found[0]), int(found[1]) / 1000)


class MemoryLimitStore:
    """Counts in this process, for tests and servers without Redis."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[int, float]] = {}
        self.is_down = False
        self.asked = 0

    def add(self, counter: str, amount: int, period_s: int) -> Counted | None:
        """See `LimitStore.add`."""
        with self._lock:
            self.asked += 1
            if self.is_down:
                return None
            now = self._clock()
            total, ends_at = self._windows.get(counter, (0, 0.0))
            if now >= ends_at:
                total, ends_at = 0, now + period_s
            self._windows[counter] = (total + amount, ends_at)
            return Counted(total + amount, ends_at - now)
