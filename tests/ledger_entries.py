"""Decisions and labels for tests of the ledger."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

from config.contracts import Decision, JournalEntry, JournalRecord, Reason
from config.schema.model import Field, Roles, Schema
from ml.ledger import LabelRecord

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SCHEMA = Schema(
    name="payment",
    version=1,
    fields=(
        Field("amount", "number", min=0),
        Field("account_id", "id", model=False, required=False),
        Field("merchant_id", "id", model=False, required=False),
    ),
    roles=Roles(amount="amount", entities=(("account", "account_id"), ("merchant", "merchant_id"))),
    digest="s" * 64,
)


def entry(number: int = 1, **changes: Any) -> JournalEntry:
    """The journal entry of transaction `t-<number>`, scored `number` minutes after noon, with `changes`."""
    at = NOON + timedelta(minutes=number)
    decision = {
        "decision_id": f"d-{number}",
        "transaction_id": f"t-{number}",
        "fraud_probability": 0.25,
        "is_fraud": False,
        "risk_score": 25,
        "risk_level": "medium",
        "action": "approve",
        "reasons": [Reason("AMOUNT_HIGH", "amount", "raises", 1.5, "much")],
        "model_version": "m-1",
        "scored_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    record = {
        "sequence": number,
        "digest": f"{number:016x}",
        "schema_digest": SCHEMA.digest,
        "received_ms": round(at.timestamp() * 1000) - 7,
        "event_at_s": at.timestamp() - 0.1,
        "amount": 1500.0,
        "values": [1500.0, f"account-{number % 2}", None],
        "derived": {"hour": 3},
        "model_digest": "b" * 64,
        "client": "shop",
    }
    for name, value in changes.items():
        (decision if name in decision or name == "degraded" else record)[name] = value
    return JournalEntry(Decision(**decision), JournalRecord(**record), struct.pack("<3d", 1500.0, 3, math.nan))


def label(number: int = 1, **changes: Any) -> LabelRecord:
    """A chargeback of decision `d-<number>`, known a week later."""
    fields: dict[str, Any] = {
        "label_id": f"l-{number}",
        "decision_id": f"d-{number}",
        "is_fraud": True,
        "source": "chargeback",
        "known_at": NOON + timedelta(days=7),
        "received_at": NOON + timedelta(days=8),
        "sequence": 1000 + number,
    }
    return LabelRecord(**(fields | changes))
