"""Part of `config.settings.Settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, field_validator

from config.rates import require_rate


class RequestBudgets(BaseModel):
    """How much may be asked."""

    limits: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether requests are limited by the budgets below; `auto`: where `TOLLGATE_AUTH` asks for keys.",
    )
    limit_score: str = Field(
        "1000/second",
        description="Budget of one key for POST /predict and GET /predictions/{id}, such as `100/second` or"
        " `20 per 5 minutes`; empty: none. Requests without a key count by address.",
    )
    limit_bulk: str = Field("60/minute", description="Budget of one key for uploads of batches.")
    limit_feedback: str = Field("200/second", description="Budget of one key for POST /feedback; a file counts once.")
    limit_operations: str = Field("1200/minute", description="Budget of one key for everything else, pages included.")
    limit_address: str = Field("2000/second", description="Budget of one address for everything, whatever the key.")
    limit_failed_credentials: str = Field(
        "30/minute", description="Budget of one address for wrong or missing credentials; then 429 instead of 401."
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="Proxies in front whose X-Forwarded-For, -Proto and -Host are believed; 0: nobody's.",
    )
    body_timeout_s: float = Field(
        60.0,
        gt=0,
        description="How long 64 kB of a body (or all of a smaller one) may take before its connection is ended with"
        " 408; at least as long as `TOLLGATE_MAX_WAIT_S` and 1 s.",
    )
    max_body_bytes: int = Field(65_536, ge=256, description="Largest body of a single transaction.")

    @field_validator(
        "limit_score",
        "limit_bulk",
        "limit_feedback",
        "limit_operations",
        "limit_address",
        "limit_failed_credentials",
    )
    @classmethod
    def _is_rate(cls, value: str) -> str:
        return require_rate(value)
