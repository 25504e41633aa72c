"""Decisions in Redis that the ledger has had for a while shrink to their digests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from config import names
from config.queue.results import shrink_results
from ml.ledger.records import DecidedRow
from workers.background import BackgroundRuntime

ROWS_PER_PAGE = 1000
SHRINK_FOR_S = 2.0


def shrink_old_results(runtime: BackgroundRuntime) -> dict[str, int]:
    """Shrink what was scored `result_ttl_s` ago and more, page by page behind a cursor over the ledger's rows.

    Two at once do the same work twice. A row that commits behind the cursor (PostgreSQL gives row numbers out before
    the commit) stays whole until it expires. Raises LedgerUnavailable, RedisError.
    """
    until, shrunk = time.monotonic() + SHRINK_FOR_S, 0
    while time.monotonic() < until:
        cursor: Any = runtime.client.get(names.SHRUNK_UP_TO)
        due = _due(runtime, int(cursor or 0))
        if due:
            shrunk += shrink_results(runtime.client, [row.transaction_id for row in due], [row.digest for row in due])
            runtime.client.set(names.SHRUNK_UP_TO, due[-1].id)
        if len(due) < ROWS_PER_PAGE:
            break
    return {"results_shrunk": shrunk}


def _due(runtime: BackgroundRuntime, after: int) -> Sequence[DecidedRow]:
    """The next rows up to the first that is too young. A time to come is a worker's wrong clock: no reason to wait."""
    now = datetime.now(UTC)
    before = now - timedelta(seconds=runtime.settings.result_ttl_s)
    rows = runtime.ledger.decided_after(after, limit=ROWS_PER_PAGE)
    return list(takewhile(lambda row: row.scored_at <= before or row.scored_at > now, rows))
