"""The background worker's part of the pulse: decisions by action, in the slot in which they were scored."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime

import redis
import structlog

from config.contracts import JournalEntry
from config.queue import pulse

log = structlog.get_logger(__name__)


def count_decided(client: redis.Redis, entries: Sequence[JournalEntry]) -> None:
    """Add these decisions to the pulse; what was scored before the oldest slot is left out.

    Fails open: a picture for people never keeps the journal from moving on.
    """
    by_slot: dict[int, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        scored_s = datetime.fromisoformat(entry.decision.scored_at).timestamp()
        by_slot[pulse.slot_of(scored_s)][pulse.decided(entry.decision.action)] += 1
    oldest_s = time.time() - pulse.KEPT_S
    try:
        for start_s, counts in by_slot.items():
            if start_s > oldest_s:
                pulse.add(client, start_s, counts)
    except redis.RedisError as error:
        log.warning("pulse_lost", error=str(error))
