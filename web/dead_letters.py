"""The dead letters behind the gateway's breaker: with the broker down every call raises BrokerUnavailable at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from config.queue.dead_letters import DeadLetter, DeadLetters

T = TypeVar("T")


class Guard(Protocol):
    """Runs a broker command; its failure becomes BrokerUnavailable."""

    def __call__(self, command: Callable[[], T]) -> T: ...


class QueueDeadLetters:
    """A `web.ports.desks.DeadLetterDesk` on the real queue."""

    def __init__(self, letters: DeadLetters, guarded: Guard) -> None:
        self._letters = letters
        self._guarded = guarded

    def page(self, *, limit: int, offset: int = 0) -> Sequence[DeadLetter]:
        """See `DeadLetterDesk.page`."""
        return self._guarded(lambda: self._letters.page(limit=limit, offset=offset))

    def find(self, entry_id: str) -> DeadLetter | None:
        """See `DeadLetterDesk.find`."""
        return self._guarded(lambda: self._letters.find(entry_id))

    def replay(self, entry_id: str) -> bool:
        """See `DeadLetterDesk.replay`."""
        return self._guarded(lambda: self._letters.replay(entry_id))

    def drop(self, entry_id: str) -> bool:
        """See `DeadLetterDesk.drop`."""
        return self._guarded(lambda: self._letters.drop(entry_id))
