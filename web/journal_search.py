"""Decisions that are stored but not in the ledger yet: the journal holds them for about a second.

Feedback that follows its decision at once is matched here. Bounded: the newest entries only, since older ones are in
the ledger unless it is down, and then the caller has been told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from config import names
from web.ports.labels import Label

NEWEST = 5000


class _Decision(msgspec.Struct):
    decision_id: str
    transaction_id: str


class _Record(msgspec.Struct):
    digest: str


_decision = msgspec.json.Decoder(_Decision)
_record = msgspec.json.Decoder(_Record)


def find_undrained(client: redis.Redis, label: Label) -> tuple[str, str] | None:
    """`(decision_id, transaction_id)` of the newest journalled decision that `label` is about, or None.

    Raises: RedisError.
    """
    entries: Any = client.xrevrange(names.JOURNAL, count=NEWEST)
    for _, fields in entries:
        if b"d" not in fields:
            continue
        decision = _decision.decode(fields[b"d"])
        if _is_about(label, decision, fields[b"r"]):
            return decision.decision_id, decision.transaction_id
    return None


def find_all_undrained(client: redis.Redis, labels: Sequence[Label]) -> list[tuple[str, str] | None]:
    """The same for many labels by id in one look, one answer per label in order. Raises: RedisError."""
    by_decision: dict[str, tuple[str, str]] = {}
    entries: Any = client.xrevrange(names.JOURNAL, count=NEWEST)
    for _, fields in entries:
        if b"d" in fields:
            decision = _decision.decode(fields[b"d"])
            by_decision[decision.decision_id] = decision.decision_id, decision.transaction_id
    by_transaction = {pair[1]: pair for pair in by_decision.values()}
    return [
        by_transaction.get(label.transaction_id)
        if label.transaction_id is not None
        else by_decision.get(label.decision_id or "")
        for label in labels
    ]


def _is_about(label: Label, decision: _Decision, record: bytes) -> bool:
    if label.decision_id is not None:
        return decision.decision_id == label.decision_id
    if label.transaction_id is not None:
        return decision.transaction_id == label.transaction_id
    return _record.decode(record).digest == label.digest
