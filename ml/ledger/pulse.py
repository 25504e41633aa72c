"""The ledger's pulse: what its newest rows say. Two index look-ups, however large it is."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection, func, select

from ml.ledger.tables import decisions, labels

NEWEST = 1000


class LedgerPulse(msgspec.Struct, frozen=True):
    """`decisions`: how many of the newest 1,000 there are; `frauds`: how many of them say fraud."""

    decisions: int = 0
    frauds: int = 0
    last_label_at: datetime | None = None

    @property
    def fraud_rate(self) -> float:
        """The share of frauds among the newest decisions; 0 without any."""
        return self.frauds / self.decisions if self.decisions else 0.0


def take_pulse(connection: Connection) -> LedgerPulse:
    """Read the newest decisions, and when the newest label was received."""
    newest = select(decisions.c.is_fraud).order_by(decisions.c.id.desc()).limit(NEWEST)
    verdicts = list(connection.execute(newest).scalars())
    last_label_at = connection.execute(select(func.max(labels.c.received_at))).scalar_one()
    return LedgerPulse(len(verdicts), sum(verdicts), last_label_at)
