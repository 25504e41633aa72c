"""The whole batch goes through the model at once. If that fails, each row is tried alone, so that one bad row never
fails its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import structlog

from workers.store import CANARY, FAILED, TO_SCORE, Finished, Observed

log = structlog.get_logger(__name__)

Stage = Callable[[str], AbstractContextManager[object]]
Score = Callable[[Sequence[Observed], Stage], Sequence[Finished]]


def untimed(_stage: str) -> AbstractContextManager[object]:
    """The stage timer that measures nothing."""
    return nullcontext()


def finish_observed(observed: Sequence[Observed], score: Score, stage: Stage) -> list[Finished]:
    """One `Finished` per row, in order: by `score` where a score is needed, else with what `observe` said."""
    scored = _tried([item for item in observed if item.status in (TO_SCORE, CANARY)], score, stage)
    return [
        next(scored) if item.status in (TO_SCORE, CANARY) else Finished(item.row, item.status, item.decision)
        for item in observed
    ]


def _tried(items: Sequence[Observed], score: Score, stage: Stage) -> Iterator[Finished]:
    if not items:
        return
    try:
        yield from score(items, stage)
    except Exception:
        if len(items) == 1:
            row = items[0].row
            log.exception("row_failed", transaction_id=row.transaction_id, request_id=row.request_id)
            yield Finished(row, FAILED, b"null")
            return
        log.warning("batch_failed_trying_rows_alone", rows=len(items))
        for item in items:
            yield from _tried([item], score, stage)
