"""New decisions and labels join the chain of digests, a few seconds of each minute (`tollgate audit verify`)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from config import names
from ml.ledger.audit.book import SETTLING, Settling
from workers.background import BackgroundRuntime

SEAL_FOR_S = 2.0
SETTLED_AFTER_S = 30.0
"""Row numbers are given out before their transactions commit, and a statement may take 5 s."""


def seal_audit(runtime: BackgroundRuntime) -> dict[str, int]:
    """Seal for at most some seconds; the next tick goes on. Raises LedgerUnavailable, RedisError."""
    ends_at, settled = time.monotonic() + SEAL_FOR_S, _settled_rows(runtime)
    # Labels first: they are few, and decisions may fill the time.
    sealed = sum(_seal(runtime, subject, settled[subject], ends_at) for subject in reversed(SETTLING))
    if sealed and runtime.settings.ledger_retention_s:
        runtime.ledger.audit.drop_old_marks()
    return {"audit_sealed": sealed}


def _seal(runtime: BackgroundRuntime, subject: Settling, until: int, ends_at: float) -> int:
    sealed = 0
    while time.monotonic() < ends_at:
        count = runtime.ledger.audit.seal(subject, until=until, now=datetime.now(UTC))
        if not count:
            break
        sealed += count
    return sealed


def _settled_rows(runtime: BackgroundRuntime) -> dict[Settling, int]:
    """The newest rows at a look some time ago: what is numbered up to there is committed or will never be."""
    now = time.time()
    looked: Any = runtime.client.hgetall(names.AUDIT_LOOK)
    if now - float(looked.get(b"at", 0)) < SETTLED_AFTER_S:
        return dict.fromkeys(SETTLING, 0)
    look: Any = {"at": now} | {subject: runtime.ledger.audit.newest_row(subject) for subject in SETTLING}
    runtime.client.hset(names.AUDIT_LOOK, mapping=look)
    return {subject: int(looked.get(subject.encode(), 0)) for subject in SETTLING}
