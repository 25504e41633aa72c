"""What workers count. Shared by all worker processes through prometheus_client's multi-process files.

Every role imports this module, so that every series is exported from the first scrape.
"""

from __future__ import annotations

import time
from collections import Counter as CountOf
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from config.metrics import workers as declared
from config.metrics.build import counter, histogram, observe_all
from config.tracing import stage_span
from workers.store import NEW, Finished, Observed

STAGE_SECONDS: Final = histogram(declared.STAGE_LATENCY)
DECISIONS: Final = counter(declared.DECISIONS)
ROWS: Final = counter(declared.ROWS)
BATCH_ROWS: Final = histogram(declared.BATCH_ROWS)
SCORE: Final = histogram(declared.SCORE)
MODEL_RELOADS: Final = counter(declared.MODEL_RELOADS)
REDELIVERIES: Final = counter(declared.REDELIVERIES)
LABELS: Final = counter(declared.LABELS)
LATE_DUPLICATES: Final = counter(declared.LATE_DUPLICATES)
BULK_RESTED: Final = counter(declared.BULK_RESTED)
HOUSEKEEPING: Final = counter(declared.HOUSEKEEPING)
BUNDLES_REFUSED: Final = counter(declared.BUNDLES_REFUSED)
CHALLENGERS_FAILED: Final = counter(declared.CHALLENGERS_FAILED)
GUARD_ACTIONS: Final = counter(declared.GUARD_ACTIONS)

_OUTCOMES: Final = {"N": "scored", "D": "duplicate", "C": "conflict", "X": "expired", "E": "failed", "K": "canary"}


def count_batch(observed: Sequence[Observed], finished: Sequence[Finished]) -> None:
    """Count one batch: its size, each row's outcome, each new decision's action and score. One increment per kind."""
    BATCH_ROWS.observe(len(observed))
    for status, rows in CountOf(item.status for item in finished).items():
        ROWS.labels(_OUTCOMES[status]).inc(rows)
    new = [item for item in finished if item.status == NEW]
    for action, decisions in CountOf(item.action for item in new).items():
        DECISIONS.labels(action).inc(decisions)
    observe_all(SCORE, [item.score for item in new])


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time one stage of a batch, a span where the batch is traced; `name` is one of those declared."""
    started = time.perf_counter()
    try:
        with stage_span(name):
            yield
    finally:
        observe_stage(name, time.perf_counter() - started)


def observe_stage(name: str, seconds: float) -> None:
    """Record a stage that was timed elsewhere."""
    STAGE_SECONDS.labels(name).observe(max(0.0, seconds))
