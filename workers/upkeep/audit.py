"""New decisions join the chain of digests, a few seconds of each minute: docs/SECURITY.md, `tollgate audit verify`."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from config import names
from workers.background import BackgroundRuntime

SEAL_FOR_S = 2.0
SETTLED_AFTER_S = 30.0
"""Row numbers are given out before their transactions commit, and a statement may take 5 s."""


def seal_audit(runtime: BackgroundRuntime) -> dict[str, int]:
    """Seal for at most some seconds; the next tick goes on. Raises LedgerUnavailable, RedisError."""
    ends_at, until, sealed = time.monotonic() + SEAL_FOR_S, _settled_row(runtime), 0
    while time.monotonic() < ends_at:
        count = runtime.ledger.audit.seal(until=until, now=datetime.now(UTC))
        if not count:
            break
        sealed += count
    if sealed and runtime.settings.ledger_retention_s:
        runtime.ledger.audit.drop_old_marks()
    return {"audit_sealed": sealed}


def _settled_row(runtime: BackgroundRuntime) -> int:
    """The newest row at a look some time ago: what is numbered up to there is committed or will never be."""
    now = time.time()
    row, looked_at = ((runtime.client.get(names.AUDIT_LOOK) or b"0 0").decode() + " 0").split()[:2]  # type: ignore[union-attr]
    if now - float(looked_at) < SETTLED_AFTER_S:
        return 0
    runtime.client.set(names.AUDIT_LOOK, f"{runtime.ledger.audit.newest_row()} {now}")
    return int(row)
