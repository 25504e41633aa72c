"""Part of `config.settings.Settings`."""

from __future__ import annotations

from pydantic import BaseModel, Field, ValidationInfo, field_validator


class Queue(BaseModel):
    """The queue, and what is kept in Redis and for how long."""

    broker_timeout_s: float = Field(0.5, gt=0, le=10, description="Web: socket timeout towards the broker.")
    breaker_reset_s: float = Field(
        0.5, gt=0, description="Web: how long the circuit stays open after a broker failure."
    )
    visibility_timeout_s: int = Field(
        45, ge=5, description="Scoring queue: when an unacknowledged message is redelivered."
    )
    result_ttl_s: int = Field(3600, ge=60, description="How long a decision stays in Redis after it was made.")
    seen_ttl_s: int = Field(
        86_400,
        ge=60,
        description="How long the history position of an undecided transaction is kept that was not accepted.",
    )
    dedupe_ttl_s: int = Field(
        86_400, ge=60, description="How long a client's transaction_id is remembered, so that the first decision stays."
    )
    idempotency_ttl_s: int = Field(
        86_400, ge=86_400, description="How long an Idempotency-Key is remembered: at least a day."
    )
    journal_max_entries: int = Field(2_000_000, ge=1000, description="Journal length at which new work is refused.")
    journal_batch: int = Field(500, ge=1, le=10_000, description="Journal entries committed to the ledger at a time.")
    inbox_overdue_s: int = Field(30, ge=1, description="Age at which the reaper enqueues accepted work again.")
    inbox_attempts: int = Field(3, ge=1, description="Attempts before accepted work moves to the dead letters.")
    inbox_max_entries: int = Field(
        200_000, ge=100, description="Accepted work without a result at which nothing more is accepted."
    )
    dead_letter_ttl_s: int = Field(2_592_000, ge=60, description="How long a dead letter is kept.")
    ledger_retention_s: int = Field(
        63_072_000, ge=0, description="How long decisions and labels stay in the ledger; 0: for ever."
    )

    @field_validator("ledger_retention_s")
    @classmethod
    def _outlives_the_ids(cls, value: int, info: ValidationInfo) -> int:
        """While an id is remembered, its decision is read from the ledger."""
        dedupe_ttl_s = info.data.get("dedupe_ttl_s", 0)
        if 0 < value < dedupe_ttl_s:
            raise ValueError(f"must be 0 or at least TOLLGATE_DEDUPE_TTL_S ({dedupe_ttl_s})")
        return value
