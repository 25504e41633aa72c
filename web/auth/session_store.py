"""Where is remembered what belongs to a browser: in Redis, by keys that nobody can guess."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar, cast

import redis
import structlog

from config.errors import AuthUnavailable
from config.queue.connections import make_redis
from config.settings import Settings
from web.breaker import Breaker

CONNECTIONS: Final = 8
T = TypeVar("T")
_log = structlog.get_logger("tollgate.web")


class SessionStore(Protocol):
    """Every method raises AuthUnavailable, at once while nobody answers. Thread-safe."""

    def keep(self, key: str, content: bytes, *, for_s: int) -> None:
        """Remember something for so many seconds."""

    def find(self, key: str, *, for_s: int) -> bytes | None:
        """What is remembered, from now on for so many seconds more; None when nothing is."""

    def take(self, key: str) -> bytes | None:
        """What is remembered, for the last time: of two who take, one gets it."""


class RedisSessionStore:
    """The broker remembers. Fails closed: while it is down nobody is signed in, and nobody is signed out by it."""

    def __init__(self, settings: Settings, client: redis.Redis | None = None) -> None:
        timeout_s = settings.broker_timeout_s
        self._client = client or make_redis(settings, timeout_s=timeout_s, connections=CONNECTIONS)
        self._breaker = Breaker(settings.breaker_reset_s)

    def keep(self, key: str, content: bytes, *, for_s: int) -> None:
        """See `SessionStore.keep`."""
        self._ask(lambda: self._client.set(key, content, ex=for_s))

    def find(self, key: str, *, for_s: int) -> bytes | None:
        """See `SessionStore.find`: one round trip."""
        found: Any = self._ask(lambda: self._client.getex(key, ex=for_s))
        return cast("bytes | None", found)

    def take(self, key: str) -> bytes | None:
        """See `SessionStore.take`."""
        found: Any = self._ask(lambda: self._client.getdel(key))
        return cast("bytes | None", found)

    def _ask(self, command: Callable[[], T]) -> T:
        if not self._breaker.allows():
            raise _unavailable()
        try:
            found = command()
        except redis.RedisError as error:
            self._breaker.failed()
            _log.warning("sessions_unavailable", reason=str(error))
            raise _unavailable() from error
        self._breaker.succeeded()
        return found


def _unavailable() -> AuthUnavailable:
    return AuthUnavailable("the broker keeps the sessions, and it does not answer: nobody can sign in now")
