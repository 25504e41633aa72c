"""The messages that cross process boundaries, as typed structures. JSON on the wire, nothing pickled.

`ScoreBatch` goes from a web process to a scoring worker, `Verdict`s come back on the reply list, `JournalEntry`
goes from a scoring worker to the ledger.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Literal

import msgspec

Action = Literal["approve", "review", "decline"]
RiskLevel = Literal["low", "medium", "high", "critical"]
LateFallback = Literal["poll", "refuse", "rules"]
LabelPolicy = Literal["chargebacks", "explicit"]
"""What a matured decision without a label is: genuine, or unknown."""


class ScoreRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One transaction of a batch.

    `values`: one per schema field in file order, None where the client sent nothing. `digest`: hex digest of
    what the client sent (16 characters). `deadline_ms`: Unix milliseconds on the Redis server's clock after
    which nobody waits any more; 0 never expires. `received_ms`: when the web side received it, same clock.
    `is_own_id`: Tollgate made the id up, so nobody can send it a second time.
    """

    transaction_id: str
    digest: str
    deadline_ms: int
    received_ms: int
    values: list[Any]
    explain: bool = False
    is_canary: bool = False
    is_own_id: bool = False


class ScoreBatch(msgspec.Struct, frozen=True):
    """N transactions of one web process, scored together. The reply carries `batch_id`."""

    reply_to: str
    batch_id: int
    schema_digest: str
    rows: list[ScoreRow]


class LabelEntry(msgspec.Struct, frozen=True):
    """A label on its way to the ledger. Times are Unix seconds (float) on the wire.

    Either `transaction_id` names the transaction it is about (with `decision_id`, unless that is still to be made), or
    `values` (one per schema field) is a labelled transaction of its own, with `digest`.
    """

    label_id: str
    is_fraud: bool
    source: Literal["chargeback", "manual_review", "customer", "rule", "api"]
    known_at_s: float
    received_at_s: float
    decision_id: str | None = None
    transaction_id: str | None = None
    reason_code: str | None = None
    amount: float | None = None
    digest: str | None = None
    values: list[Any] | None = None

    def content_digest(self) -> str:
        """16 hex characters over what the label says: the verdict and whom it is about, not when it became known."""
        said = msgspec.json.encode([self.is_fraud, self.source, self.transaction_id, self.digest])
        return blake2b(said, digest_size=8).hexdigest()


class Reason(msgspec.Struct, frozen=True):
    """Why a score is what it is. `impact` is in log-odds, signed; `direction` says the same in words."""

    code: str
    feature: str
    direction: Literal["raises", "lowers"]
    impact: float
    message: str


class Decision(msgspec.Struct, frozen=True):
    """The stored, immutable answer. `fraud_probability` is calibrated, 0..1; `risk_score` 0..100."""

    decision_id: str
    transaction_id: str
    fraud_probability: float
    is_fraud: bool
    risk_score: int
    risk_level: RiskLevel
    action: Action
    reasons: list[Reason]
    model_version: str
    scored_at: str
    degraded: bool = False


class ChampionPointer(msgspec.Struct, frozen=True):
    """Which bundle serves: the content of the Redis key that is the truth about the champion.

    `generation` grows with every promotion, rollback or forced reload. `path` is relative to the bundle store.
    """

    model_version: str
    digest: str
    path: str
    generation: int
    promoted_at: str


class WorkerReport(msgspec.Struct, frozen=True):
    """One worker's heartbeat or its answer to a reload."""

    worker: str
    role: str
    model_version: str | None
    digest: str | None
    status: str
    loaded_at: str | None
    generation: int = 0
    detail: str = ""


class JournalRecord(msgspec.Struct, frozen=True):
    """What the ledger keeps about a decision besides the decision itself.

    `sequence`: global arrival order of transactions and labels; offline replay follows it. `values`: what the
    client sent, one per schema field in file order (None: not sent). `derived`: fields that Tollgate filled in.
    `event_at_s`: event time, Unix seconds. `amount`: value of the amount role, if the schema has one.
    `propensity`: the chance with which this action was taken: below 1 where some declines are let through to learn.
    """

    sequence: int
    digest: str
    schema_digest: str
    received_ms: int
    event_at_s: float
    amount: float | None
    values: list[Any]
    derived: dict[str, Any]
    model_digest: str = ""
    client: str = ""
    propensity: float = 1.0


class JournalEntry(msgspec.Struct, frozen=True):
    """One decision on its way to the ledger. `features`: float64 little-endian, one per model column."""

    decision: Decision
    record: JournalRecord
    features: bytes
