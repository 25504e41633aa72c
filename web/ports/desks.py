"""What people do with single cases: dead letters, replays, reviews."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from config.queue.dead_letters import DeadLetter
from config.queue.replays import ReplayRequest


class DeadLetterDesk(Protocol):
    """What operators do with accepted work that was given up. Every call raises BrokerUnavailable."""

    def page(self, *, limit: int, offset: int = 0) -> Sequence[DeadLetter]:
        """At most `limit`, the newest first, after skipping `offset`."""

    def find(self, entry_id: str) -> DeadLetter | None:
        """The dead letter of this entry, or None."""

    def replay(self, entry_id: str) -> bool:
        """Give it all its attempts again. False when there is no such dead letter."""

    def drop(self, entry_id: str) -> bool:
        """Forget it for good. False when there is no such dead letter."""


class ReplayDesk(Protocol):
    """Rebuilding of single decisions, done by a background worker. Every call raises BrokerUnavailable."""

    def ask(self, decision_id: str) -> ReplayRequest:
        """Ask for one decision to be rebuilt from the ledger and its bundle, and compared to the bit."""

    def find(self, replay_id: str) -> ReplayRequest | None:
        """What came of it; None when there is no such request (any more)."""


class ReviewDesk(Protocol):
    """Who is looking at which case of the review queue. Leases are short. Every call raises BrokerUnavailable."""

    def claim(self, decision_id: str, reviewer: str) -> bool:
        """Hold a case, or hold it longer. False when another reviewer holds it."""

    def release(self, decision_id: str, reviewer: str) -> None:
        """Let go of a case; nothing when another holds it."""

    def settle(self, decision_id: str, reviewer: str) -> None:
        """Keep a case that was just labelled from being handed out while its label is on its way to the ledger."""

    def holders(self, decision_ids: Sequence[str]) -> Sequence[str | None]:
        """Who holds each of these cases, None where nobody does; `SETTLED` where a label is on its way."""
