"""Decisions and labels older than `ledger_retention_s` leave the ledger."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from workers.background import BackgroundRuntime

PRUNE_FOR_S = 2.0


def prune_ledger(runtime: BackgroundRuntime) -> dict[str, int]:
    """Delete slice by slice for at most some seconds; the next tick goes on. Raises LedgerUnavailable."""
    settings, counts = runtime.settings, {"decisions": 0, "labels": 0}
    if not settings.ledger_retention_s:
        return counts
    now, until = datetime.now(UTC), time.monotonic() + PRUNE_FOR_S
    before = now - timedelta(seconds=settings.ledger_retention_s)
    unlabelled_before = now - timedelta(seconds=settings.label_delay_s)
    while time.monotonic() < until:
        deleted = runtime.ledger.delete_before(before, unlabelled_before=unlabelled_before)
        counts["decisions"] += deleted.decisions
        counts["labels"] += deleted.labels
        if not (deleted.decisions or deleted.labels):
            break
    return counts
