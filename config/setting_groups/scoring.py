"""Part of `config.settings.Settings`."""

from __future__ import annotations

from pydantic import BaseModel, Field

from config.card_numbers import CardPolicy
from config.contracts import LateFallback


class Scoring(BaseModel):
    """How a payment is scored."""

    web_processes: int = Field(
        1, ge=1, le=64, description="Web server processes; one per two cores gathers the largest batches (ADR 0013)."
    )
    web_threads: int = Field(
        256,
        ge=4,
        le=4096,
        description="Threads per web process; those beyond `TOLLGATE_QUEUE_CAPACITY` refuse and look.",
    )
    scoring_workers: int = Field(2, ge=1, le=256, description="Scoring worker processes (solo pool, one per core).")
    bulk_workers: int = Field(
        1, ge=0, le=256, description="Bulk worker processes; they run only when nothing interactive wants the core."
    )
    sync_timeout_ms: int = Field(
        1500,
        ge=1,
        le=60_000,
        description="How long POST /predict waits before it answers 202 (Prefer: wait=N overrides).",
    )
    max_wait_s: int = Field(30, ge=1, le=300, description="Longest `Prefer: wait=N` honoured.")
    late_fallback: LateFallback = Field(
        "poll",
        description="What a late score becomes: `poll` (202), `refuse` (503), `rules` (policy file alone, degraded)."
        " The policy file's `[degradation]` wins.",
    )
    queue_capacity: int = Field(
        192,
        ge=1,
        description="Transactions that wait in one web process, sent or not, before it answers 503;"
        " below `TOLLGATE_WEB_THREADS`, so that threads are left to say so.",
    )
    batches_in_flight: int = Field(1, ge=1, le=64, description="Batches one web process keeps in flight (k).")
    batch_max_rows: int = Field(128, ge=1, le=4096, description="Largest batch the coalescer sends.")
    latency_objective_ms: int = Field(
        100,
        ge=1,
        description="Latency objective that adapts the batch size cap (additive increase, multiplicative decrease).",
    )
    card_numbers: CardPolicy = Field(
        "refuse",
        description="Card numbers in texts and ids: `refuse` (422), `mask` (first six and last four digits stay)"
        " or `allow`.",
    )
    explain_above: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Fraud probability from which a decision carries its reasons unasked;"
        " what is reviewed or declined carries them anyway.",
    )
    reasons_max: int = Field(5, ge=1, le=50, description="Most reasons a decision carries.")
    history_events: int = Field(128, ge=8, le=4096, description="Events per entity that history features look back on.")
    history_retain_s: int = Field(
        600, ge=60, description="How long events past `history_events` stay for redelivered transactions."
    )
