"""The dead letters behind the gateway's breaker: with the broker down every call raises BrokerUnavailable at once."""

from __future__ import annotations

from collections.abc import Sequence

from config.queue.dead_letters import DeadLetter, DeadLetters
from web.breaker import Guard


class QueueDeadLetters:
    """A `web.ports.desks.DeadLetterDesk` on the real queue."""

    def __init__(self, letters: DeadLetters, guard: Guard) -> None:
        self._letters = letters
        self._guard = guard

    def page(self, *, limit: int, offset: int = 0) -> Sequence[DeadLetter]:
        """See `DeadLetterDesk.page`."""
        return self._guard(lambda: self._letters.page(limit=limit, offset=offset))

    def find(self, entry_id: str) -> DeadLetter | None:
        """See `DeadLetterDesk.find`."""
        return self._guard(lambda: self._letters.find(entry_id))

    def replay(self, entry_id: str) -> bool:
        """See `DeadLetterDesk.replay`."""
        return self._guard(lambda: self._letters.replay(entry_id))

    def drop(self, entry_id: str) -> bool:
        """See `DeadLetterDesk.drop`."""
        return self._guard(lambda: self._letters.drop(entry_id))
