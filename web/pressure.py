"""Whether the system behind this process can take more. New work is refused before old work would be dropped."""

from __future__ import annotations

from typing import Any

import redis

from config import names
from config.errors import Overloaded
from config.settings import Settings


class Pressure:
    """Knows, as of about a second ago, whether journal and inbox have room.

    Both may grow past their bound by what arrives within that second.
    """

    def __init__(self, settings: Settings) -> None:
        self._journal_max = settings.journal_max_entries
        self._inbox_max = settings.inbox_max_entries
        self._journal = 0
        self._inbox = 0

    def measure(self, client: redis.Redis) -> None:
        """Read both lengths. Raises RedisError."""
        pipe = client.pipeline(transaction=False)
        pipe.xlen(names.JOURNAL)
        pipe.zcard(names.INBOX_DUE)
        lengths: Any = pipe.execute()
        self._journal, self._inbox = lengths

    def check_journal(self) -> None:
        """Raises Overloaded while the journal is full: the ledger does not keep up, or is down."""
        if self._journal >= self._journal_max:
            raise Overloaded(
                f"{self._journal} decisions wait for the ledger; nothing new is accepted until it catches up",
                retry_after_s=5,
            )

    def check_inbox(self) -> None:
        """Raises Overloaded while the inbox is full: the workers do not keep up, or are away."""
        if self._inbox >= self._inbox_max:
            raise Overloaded(
                f"{self._inbox} accepted entries wait for a worker; nothing is accepted for later until they are fewer",
                retry_after_s=5,
            )
