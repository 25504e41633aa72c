"""Single payments before batches: a mark in Redis while somebody waits for an answer. Bulk workers rest beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import redis

from config import names
from config.contracts import ScoreRow

MARKED_FOR_MS = 3_000
MARK_EVERY_S = 1.0


class PrecedenceMark:
    """The web side's half: marks with the message that it sends anyway, at most once a second."""

    def __init__(self) -> None:
        self._due_at = 0.0

    def is_due(self, rows: Sequence[ScoreRow]) -> bool:
        """Whether to mark with these rows; canaries are nobody's."""
        now = time.monotonic()
        if now < self._due_at or all(row.is_canary for row in rows):
            return False
        self._due_at = now + MARK_EVERY_S
        return True

    @staticmethod
    def add_to(pipe: redis.client.Pipeline) -> None:
        """Queue the mark's command."""
        pipe.set(names.ANSWERS_AWAITED, 1, px=MARKED_FOR_MS)
