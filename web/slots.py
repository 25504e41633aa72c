"""How many long transfers one web process has under way: each holds a server thread for as long as its client likes."""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import Final

from config.errors import Overloaded

RETRY_AFTER_S: Final = 5.0


class TransferSlots:
    """A quarter of the server's threads, at least 2, so that most of them stay free to score. Thread-safe."""

    def __init__(self, web_threads: int, what: str) -> None:
        self._free = BoundedSemaphore(max(2, web_threads // 4))
        self._what = what

    def take(self) -> None:
        """Hold a slot until `release`. Raises Overloaded when none is free."""
        if not self._free.acquire(blocking=False):
            raise Overloaded(
                f"this process has as many {self._what} under way as it takes", retry_after_s=RETRY_AFTER_S
            )

    def release(self) -> None:
        """Give the slot back."""
        self._free.release()
