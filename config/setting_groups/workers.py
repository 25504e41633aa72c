"""Part of `config.settings.Settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Workers(BaseModel):
    """How workers report, and what is logged."""

    worker_metrics_port: int = Field(
        0, ge=0, le=65535, description="Port on which a worker serves its own metrics; 0: only through the web side."
    )
    metrics_cache_s: float = Field(
        1.0,
        ge=0,
        description="How long `GET /prometheus` remembers what it read from broker and ledger; 0: not at all.",
    )
    heartbeat_s: float = Field(1.0, gt=0, description="How often a worker reports; it is gone after five times that.")
    champion_poll_s: float = Field(
        0.5, gt=0, le=1, description="How often a worker compares its model with the champion pointer."
    )
    reload_timeout_s: float = Field(
        10.0, gt=0, description="How long POST /reload-model waits for the workers' answers."
    )
    canary_interval_s: float = Field(5.0, gt=0, description="How often the canary transaction is scored.")
    watchdog_s: float = Field(
        8.0, gt=1, description="A scoring worker in one batch, or silent, for this long is replaced; others later."
    )
    otlp_endpoint: str = Field(
        "", description="OpenTelemetry collector (OTLP over HTTP) that spans are sent to; empty: no tracing."
    )
    otlp_sample_ratio: float = Field(
        0.01, ge=0, le=1, description="Share of payments traced unasked; a sampled `traceparent` is always followed."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level logged.")
    log_format: Literal["console", "json"] = Field("console", description="Log lines for people or for machines.")
