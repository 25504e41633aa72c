"""What is read for every scrape, read at most once in a while: several scrapers at once cost as much as one."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """The last result of `read`, read anew once it is `lifetime_s` old. Thread-safe: who comes meanwhile waits."""

    def __init__(
        self, read: Callable[[], T], lifetime_s: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._lock = Lock()
        self._known: tuple[float, T] | None = None

    def __call__(self) -> T:
        """The result. Raises what `read` raises, which is not remembered."""
        with self._lock:
            if self._known is None or self._clock() - self._known[0] >= self._lifetime_s:
                self._known = (self._clock(), self._read())
            return self._known[1]
