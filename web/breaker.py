"""A circuit breaker for the broker: after a failure, answer at once instead of waiting for time-outs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import redis

from config.errors import BrokerUnavailable

T = TypeVar("T")


class Breaker:
    """Open for `reset_s` after a failure; then one caller at a time may try until one succeeds. Thread-safe."""

    def __init__(self, reset_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._reset_s = reset_s
        self._clock = clock
        self._lock = threading.Lock()
        self._closed_again_at = 0.0
        self._is_open = False

    def allows(self) -> bool:
        """Whether the caller may try now. While open, one caller per `reset_s` is let through."""
        if not self._is_open:
            return True
        with self._lock:
            now = self._clock()
            if now < self._closed_again_at:
                return False
            self._closed_again_at = now + self._reset_s
            return True

    def succeeded(self) -> None:
        """Close the circuit."""
        self._is_open = False

    def failed(self) -> None:
        """Open the circuit, or keep it open."""
        with self._lock:
            self._is_open = True
            self._closed_again_at = self._clock() + self._reset_s

    def run(self, command: Callable[[], T]) -> T:
        """See `Guard`."""
        if not self.allows():
            raise broker_lost("the circuit is open")
        try:
            result = command()
        except redis.RedisError as error:
            self.failed()
            raise broker_lost(type(error).__name__) from error
        self.succeeded()
        return result


class Guard(Protocol):
    """Runs one broker command under a breaker."""

    def __call__(self, command: Callable[[], T]) -> T:
        """What the command returns. Raises BrokerUnavailable: it failed, or the circuit is open."""


def broker_lost(detail: str) -> BrokerUnavailable:
    """What requests get when the broker cannot be reached."""
    return BrokerUnavailable(f"The broker cannot be reached: {detail}", retry_after_s=1)
