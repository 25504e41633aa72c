"""What workers measure. Shared by all worker processes through prometheus_client's multi-process files."""

from __future__ import annotations

import time
from collections import Counter as CountOf
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

from workers.store import NEW, Finished, Observed

STAGE_SECONDS = Histogram(
    "tollgate_worker_stage_latency_seconds",
    "Time a batch spends in each stage of a scoring worker.",
    ["stage"],
    buckets=(0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0),
)
DECISIONS = Counter("tollgate_decisions_total", "Decisions stored, by action.", ["action"])
ROWS = Counter("tollgate_rows_total", "Rows that scoring workers received, by what became of them.", ["outcome"])
BATCH_ROWS = Histogram(
    "tollgate_worker_batch_rows", "Transactions per Celery message.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)
)
LATE_DUPLICATES = Counter(
    "tollgate_late_duplicates_total",
    "Transactions decided again after their id was forgotten; the ledger keeps the first decision.",
)
BUNDLES_REFUSED = Counter(
    "tollgate_bundles_refused_total",
    "Bundles that a worker refused to load (changed, truncated, for another schema); the old one serves on.",
    ["pointer"],
)
CHALLENGERS_FAILED = Counter(
    "tollgate_challenger_failures_total", "Batches that the challenger could not score; the champion decided them."
)
GUARD_ACTIONS = Counter(
    "tollgate_guard_actions_total", "Models that broke a guardrail, by what was done about it.", ["action"]
)
HOUSEKEEPING = Counter("tollgate_housekeeping_total", "What housekeeping shrank, expired or removed.", ["kind"])

STAGES = ("decode", "observe", "features", "predict", "shadow", "decide", "commit")
HOUSEKEEPING_KINDS = (
    "results_shrunk", "batches_expired", "batch_directories", "dead_letters", "decisions", "labels",
)  # fmt: skip
GUARD_ACTION_KINDS = ("canary_ended", "rolled_back")
_OUTCOMES = {"N": "scored", "D": "duplicate", "C": "conflict", "X": "expired", "E": "failed", "K": "canary"}


def export_zeroes() -> None:
    """Make every series exist from the first scrape."""
    for stage in STAGES:
        STAGE_SECONDS.labels(stage)
    for action in ("approve", "review", "decline"):
        DECISIONS.labels(action)
    for outcome in _OUTCOMES.values():
        ROWS.labels(outcome)
    for pointer in ("champion", "challenger"):
        BUNDLES_REFUSED.labels(pointer)


def export_background_zeroes() -> None:
    """The same for what background workers count."""
    for kind in HOUSEKEEPING_KINDS:
        HOUSEKEEPING.labels(kind)
    for action in GUARD_ACTION_KINDS:
        GUARD_ACTIONS.labels(action)


def count_batch(observed: Sequence[Observed], finished: Sequence[Finished]) -> None:
    """Count one batch: its size, each row's outcome, each new decision's action. One increment per kind."""
    BATCH_ROWS.observe(len(observed))
    for status, rows in CountOf(item.status for item in finished).items():
        ROWS.labels(_OUTCOMES[status]).inc(rows)
    for action, decisions in CountOf(item.action for item in finished if item.status == NEW).items():
        DECISIONS.labels(action).inc(decisions)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time one stage of a batch; `name` is one of STAGES."""
    started = time.perf_counter()
    try:
        yield
    finally:
        STAGE_SECONDS.labels(name).observe(time.perf_counter() - started)
