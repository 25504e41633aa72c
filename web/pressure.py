"""Whether the system behind this process can take more. New work is refused before old work would be dropped."""

from __future__ import annotations

import redis

from config import names
from config.errors import Overloaded


class JournalPressure:
    """Knows, as of about a second ago, whether the journal has room for more decisions."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._length = 0

    def measure(self, client: redis.Redis) -> None:
        """Read the journal's length. Raises RedisError."""
        self._length = int(client.xlen(names.JOURNAL))

    def check(self) -> None:
        """Raises Overloaded while the journal is full: the ledger does not keep up, or is down."""
        if self._length >= self._max_entries:
            raise Overloaded(
                f"{self._length} decisions wait for the ledger; nothing new is accepted until it catches up",
                retry_after_s=5,
            )
