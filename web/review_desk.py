"""Who is looking at which case of the review queue: a lease in Redis per case, so that no two do the same one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import redis

from config import names
from config.queue.server_scripts import register
from web.breaker import Guard

LEASE_S: Final = 90
SETTLING_S: Final = 60
"""A label needs a second or two to reach the ledger; until then its case must not be handed out again."""
SETTLED: Final = "settled"


class RedisReviews:
    """A `ReviewDesk`. `guard` runs every command."""

    def __init__(self, client: redis.Redis, guard: Guard) -> None:
        self._client = client
        self._guard = guard
        self._hold = register(client, "hold_key")

    def claim(self, decision_id: str, reviewer: str) -> bool:
        """See `ReviewDesk.claim`; the lease lasts `LEASE_S` seconds."""
        return self._write(decision_id, reviewer, reviewer, LEASE_S)

    def release(self, decision_id: str, reviewer: str) -> None:
        """See `ReviewDesk.release`."""
        self._write(decision_id, reviewer, "", LEASE_S)

    def settle(self, decision_id: str, reviewer: str) -> None:
        """See `ReviewDesk.settle`."""
        self._write(decision_id, reviewer, SETTLED, SETTLING_S)

    def holders(self, decision_ids: Sequence[str]) -> Sequence[str | None]:
        """See `ReviewDesk.holders`."""
        if not decision_ids:
            return []
        keys = [names.review_key(one) for one in decision_ids]
        found: Any = self._guard(lambda: self._client.mget(keys))
        return [None if holder is None else holder.decode() for holder in found]

    def _write(self, decision_id: str, reviewer: str, content: str, lease_s: int) -> bool:
        key = names.review_key(decision_id)
        return bool(self._guard(lambda: self._hold(keys=[key], args=[reviewer, content, lease_s * 1000])))
