"""Stored decisions."""

from __future__ import annotations

from typing import Any

import msgspec


class DecisionRecord(msgspec.Struct, frozen=True):
    """A stored decision: what was answered, what the client sent, and, apart from it, what was derived.

    `id`: place in the ledger, the cursor of GET /decisions. `sequence`: place in the order of arrival. `event_at`: when
    the payment happened. `features`: what the model saw, by column, null where a value was missing; of one alone.
    `client`: the key or token that sent it, empty where none was asked for.
    """

    id: int
    sequence: int
    decision: dict[str, Any]
    sent: dict[str, Any]
    derived: dict[str, Any]
    labels: list[dict[str, Any]]
    event_at: str | None = None
    amount: float | None = None
    features: dict[str, float | None] | None = None
    client: str = ""


class DecisionPage(msgspec.Struct, frozen=True):
    """Decisions, newest first. `next`: where the following page is, None at the end."""

    decisions: list[DecisionRecord]
    next: str | None
