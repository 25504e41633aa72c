"""Which budget a request draws on, whose it is, and how large the budgets are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from config.settings import Settings
from web.auth.principal import principal_of

BudgetName = Literal["score", "bulk", "feedback", "operations", "address", "credentials"]
_FREE_BLUEPRINTS: Final = ("health", "metrics")
# The proxy asks about every part of a page; what is behind it counts as it likes.
_FREE_ENDPOINTS: Final = ("static", "pages.get_problem", "session_check.get_session_check")


@dataclass(frozen=True, slots=True)
class Budgets:
    """Rates in the notation of `limits`; empty: none."""

    score: str
    bulk: str
    feedback: str
    operations: str
    address: str
    credentials: str

    @classmethod
    def of(cls, settings: Settings) -> Budgets:
        """As the settings say."""
        return cls(
            score=settings.limit_score,
            bulk=settings.limit_bulk,
            feedback=settings.limit_feedback,
            operations=settings.limit_operations,
            address=settings.limit_address,
            credentials=settings.limit_failed_credentials,
        )

    def rate(self, budget: BudgetName | None) -> str:
        """How large a budget is; empty for a request that draws on none."""
        rate: str = getattr(self, budget) if budget else ""
        return rate


def are_requests_limited(settings: Settings) -> bool:
    """Whether the budgets hold: by the setting, else where keys are asked for."""
    return settings.limits == "on" or (settings.limits == "auto" and settings.auth == "required")


def budget_of(endpoint: str) -> BudgetName | None:
    """The budget of a route, by Flask's name for it; None for health, metrics, static files and what the proxy asks.

    >>> budget_of("batches.post_batch"), budget_of("batches.get_batch"), budget_of("health.get_health")
    ('bulk', 'operations', None)
    """
    blueprint, _, view = endpoint.rpartition(".")
    if blueprint in _FREE_BLUEPRINTS or endpoint in _FREE_ENDPOINTS:
        return None
    if blueprint == "predict":
        return "score"
    if view == "post_batch":
        return "bulk"
    return "feedback" if blueprint == "feedback" else "operations"


def address_in(environ: dict[str, Any]) -> str:
    """The address that a request came from, or that a trusted proxy says it came from."""
    return environ.get("REMOTE_ADDR") or "unknown"


def client_in(environ: dict[str, Any]) -> str:
    """Whose budget a request draws on: that of its key, or of its address where it showed none."""
    credential = principal_of(environ).credential
    return f"key:{credential}" if credential else by_address(environ)


def by_address(environ: dict[str, Any]) -> str:
    """The budget that all requests of an address share."""
    return f"address:{address_in(environ)}"
