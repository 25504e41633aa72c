"""Replays and review leases without a queue, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from config.queue.replays import ReplayRequest
from web.review_desk import SETTLED


@dataclass(slots=True)
class MemoryReplays:
    """Keeps the promises of `ReplayDesk`; a request stays queued until a test puts what came of it here."""

    requests: dict[str, ReplayRequest] = field(default_factory=dict)

    def ask(self, decision_id: str) -> ReplayRequest:
        """See `ReplayDesk.ask`."""
        request = ReplayRequest(replay_id=f"replay-{len(self.requests) + 1}", decision_id=decision_id)
        self.requests[request.replay_id] = request
        return request

    def find(self, replay_id: str) -> ReplayRequest | None:
        """See `ReplayDesk.find`."""
        return self.requests.get(replay_id)


@dataclass(slots=True)
class MemoryReviews:
    """Keeps the promises of `ReviewDesk`; leases never end by themselves."""

    held: dict[str, str] = field(default_factory=dict)

    def claim(self, decision_id: str, reviewer: str) -> bool:
        """See `ReviewDesk.claim`."""
        return self.held.setdefault(decision_id, reviewer) == reviewer

    def release(self, decision_id: str, reviewer: str) -> None:
        """See `ReviewDesk.release`."""
        if self.held.get(decision_id) == reviewer:
            del self.held[decision_id]

    def settle(self, decision_id: str, reviewer: str) -> None:
        """See `ReviewDesk.settle`."""
        if self.held.get(decision_id, reviewer) == reviewer:
            self.held[decision_id] = SETTLED

    def holders(self, decision_ids: Sequence[str]) -> Sequence[str | None]:
        """See `ReviewDesk.holders`."""
        return [self.held.get(one) for one in decision_ids]
