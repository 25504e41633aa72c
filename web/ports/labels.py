"""What clients say that a transaction really was, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from config.contracts import LabelSource
from config.errors import LabelConflict, UnknownId
from config.tenants import prefix_of

CLIENT_SOURCES: tuple[LabelSource, ...] = ("chargeback", "manual_review", "customer", "rule")

LabelRefusal = UnknownId | LabelConflict
"""Why one of many labels was not kept."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a transaction really was.

    Exactly one of `transaction_id`, `decision_id` and `digest` (with `values`, as the validator made them)
    says which transaction is meant. `known_at` is aware. `label_id` makes a repeated submission harmless. `client`: who
    says so, as the audit trail has it; empty where nobody shows credentials.
    """

    label_id: str
    is_fraud: bool
    source: LabelSource
    known_at: datetime
    transaction_id: str | None = None
    decision_id: str | None = None
    digest: str | None = None
    values: tuple[Any, ...] | None = None
    reason_code: str | None = None
    amount: float | None = None
    client: str = ""

    def __post_init__(self) -> None:
        if self.known_at.tzinfo is None:
            raise ValueError("known_at must carry a time zone")

    def shares_tenant(self, transaction_id: str) -> bool:
        """Whether a transaction is of this label's tenant, by both ids as they are kept: a decision id says nothing."""
        return prefix_of(self.label_id) == prefix_of(transaction_id)


@dataclass(frozen=True, slots=True)
class LabelOutcome:
    """What became of a label.

    `status`: "stored" in the ledger, or "accepted" (durable in the inbox, on its way there). `matched` is
    False when no decision has this content and the label was kept as a labelled transaction of its own.
    """

    status: Literal["stored", "accepted"]
    label_id: str
    matched: bool
    transaction_id: str | None = None
    decision_id: str | None = None
