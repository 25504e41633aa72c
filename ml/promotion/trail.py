"""The audit trail as whoever decides about models writes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ml.ledger import Ledger, ModelEvent
from ml.ledger.model_events import ModelAction

if TYPE_CHECKING:
    from ml.gate.verdict import GateReport


@dataclass(frozen=True, slots=True)
class Trail:
    """What one actor does at one moment. Every method raises LedgerUnavailable."""

    ledger: Ledger
    actor: str
    now: datetime

    def record(self, action: ModelAction, from_version: str | None, to_version: str | None, reasons: list[str]) -> None:
        """Add an event."""
        self.ledger.record_model_event(
            ModelEvent(
                at=self.now,
                actor=self.actor,
                action=action,
                from_version=from_version,
                to_version=to_version,
                reasons=reasons,
            )
        )

    def record_kept(self, report: GateReport) -> None:
        """Add what the gate said of a challenger that it does not promote."""
        action: ModelAction = "rejected" if report.outcome == "reject" else "kept_shadowing"
        self.record(action, report.champion, report.challenger, report.reasons)
