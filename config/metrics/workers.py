"""What worker processes count. Their counts live on in files when a worker is started again."""

from __future__ import annotations

from typing import Final, get_args

from config import names
from config.contracts import Action, LabelSource
from config.metrics.metric import WORKERS, Label, Metric, Source

_SCORES: tuple[Source, ...] = ("scoring", "bulk")

STAGE_LATENCY: Final = Metric(
    "tollgate_worker_stage_latency_seconds",
    "histogram",
    "Time a batch spends in each stage of a worker that scores; queue: from being pushed until a worker has it.",
    _SCORES,
    (Label("stage", ("queue", "decode", "observe", "features", "predict", "shadow", "decide", "commit")),),
    unit="seconds",
    buckets=(0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0),
)
DECISIONS: Final = Metric(
    "tollgate_decisions_total",
    "counter",
    "Decisions stored, by action. By model version: joined with tollgate_champion_info.",
    _SCORES,
    (Label("action", get_args(Action)),),
)
ROWS: Final = Metric(
    "tollgate_rows_total",
    "counter",
    "Rows that workers received, by what became of them.",
    _SCORES,
    (Label("outcome", ("scored", "duplicate", "conflict", "expired", "failed", "canary")),),
)
BATCH_ROWS: Final = Metric(
    "tollgate_worker_batch_rows",
    "histogram",
    "Transactions per Celery message.",
    _SCORES,
    unit="transactions",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 1024),
)
SCORE: Final = Metric(
    "tollgate_score",
    "histogram",
    "Fraud probability of the decisions stored.",
    _SCORES,
    unit="probability",
    buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
)
MODEL_RELOADS: Final = Metric(
    "tollgate_model_reloads_total",
    "counter",
    "Bundles that workers were told to load, by whether they serve them now.",
    _SCORES,
    (Label("result", ("serving", "refused")),),
)
REDELIVERIES: Final = Metric(
    "tollgate_redeliveries_total",
    "counter",
    "Messages given out once more: unacknowledged (their worker died), overdue (accepted work that lost its message).",
    WORKERS,
    (Label("queue", names.QUEUES), Label("cause", ("unacknowledged", "overdue"))),
)
LABELS: Final = Metric(
    "tollgate_labels_total",
    "counter",
    "Labels that reached the ledger, by source.",
    ("background",),
    (Label("source", get_args(LabelSource)),),
)
LATE_DUPLICATES: Final = Metric(
    "tollgate_late_duplicates_total",
    "counter",
    "Transactions decided again after their id was forgotten; the ledger keeps the first decision.",
    ("background",),
)
HOUSEKEEPING: Final = Metric(
    "tollgate_housekeeping_total",
    "counter",
    "What housekeeping shrank, expired or removed.",
    ("background",),
    (
        Label(
            "kind",
            (
                "results_shrunk",
                "batches_expired",
                "batch_directories",
                "dead_letters",
                "decisions",
                "labels",
                "audit_sealed",
            ),
        ),
    ),
)
BULK_RESTED: Final = Metric(
    "tollgate_bulk_rest_seconds_total",
    "counter",
    "Time that bulk workers rested between chunks because somebody waited for single answers.",
    ("bulk",),
)
BUNDLES_REFUSED: Final = Metric(
    "tollgate_bundles_refused_total",
    "counter",
    "Bundles that a worker refused to load (changed, truncated, for another schema); the old one serves on.",
    _SCORES,
    (Label("pointer", ("champion", "challenger")),),
)
CHALLENGERS_FAILED: Final = Metric(
    "tollgate_challenger_failures_total",
    "counter",
    "Batches that the challenger could not score; the champion decided them.",
    _SCORES,
)
GUARD_ACTIONS: Final = Metric(
    "tollgate_guard_actions_total",
    "counter",
    "Models that broke a guardrail, by what was done about it.",
    ("background",),
    (Label("action", ("canary_ended", "rolled_back")),),
)

METRICS: Final = (
    STAGE_LATENCY,
    DECISIONS,
    ROWS,
    BATCH_ROWS,
    SCORE,
    MODEL_RELOADS,
    REDELIVERIES,
    LABELS,
    LATE_DUPLICATES,
    BULK_RESTED,
    HOUSEKEEPING,
    BUNDLES_REFUSED,
    CHALLENGERS_FAILED,
    GUARD_ACTIONS,
)
