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
ChallengerRole = Literal["shadow", "canary", "watch"]
LateFallback = Literal["poll", "refuse", "rules"]
LabelSource = Literal["chargeback", "manual_review", "customer", "rule", "api"]
LabelPolicy = Literal["chargebacks", "explicit"]
"""What a matured decision without a label is: genuine, or unknown."""


class ScoreRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One transaction of a batch.

    `values`: one per schema field in file order, None where the client sent nothing. `digest`: hex digest of
    what the client sent (16 characters). `deadline_ms`: Unix milliseconds on the Redis server's clock after
    which nobody waits any more; 0 never expires. `received_ms`: when the web side received it, same clock.
    `is_own_id`: Tollgate made the id up, so nobody can send it a second time. `request_id`: for the logs.
    `traceparent`: its request's span, empty where it is not traced. `client`: who sent it, empty where nobody shows
    credentials.
    """

    transaction_id: str
    digest: str
    deadline_ms: int
    received_ms: int
    values: list[Any]
    explain: bool = False
    is_canary: bool = False
    is_own_id: bool = False
    request_id: str = ""
    traceparent: str = ""
    client: str = ""


class ScoreBatch(msgspec.Struct, frozen=True):
    """N transactions of one web process, scored together. The reply carries `batch_id`. `traceparent`: its span."""

    reply_to: str
    batch_id: int
    schema_digest: str
    rows: list[ScoreRow]
    traceparent: str = ""


class LabelEntry(msgspec.Struct, frozen=True):
    """A label on its way to the ledger. Times are Unix seconds (float) on the wire.

    Either `transaction_id` names the transaction it is about (with `decision_id`, unless that is still to be made), or
    `values` (one per schema field) is a labelled transaction of its own, with `digest`. `traceparent`: its request's
    span, empty where it is not traced. `client`: who said it, empty where nobody shows credentials.
    """

    label_id: str
    is_fraud: bool
    source: LabelSource
    known_at_s: float
    received_at_s: float
    decision_id: str | None = None
    transaction_id: str | None = None
    reason_code: str | None = None
    amount: float | None = None
    digest: str | None = None
    values: list[Any] | None = None
    traceparent: str = ""
    client: str = ""

    def content_digest(self) -> str:
        """16 hex characters over what the label says: the verdict and whom it is about, not when it became known."""
        return label_digest(self.is_fraud, self.source, self.transaction_id, self.digest)


def label_digest(is_fraud: bool, source: str, transaction_id: str | None, digest: str | None) -> str:
    """See `LabelEntry.content_digest`."""
    said = msgspec.json.encode([is_fraud, source, transaction_id, digest])
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


class ScoreProfile(msgspec.Struct, frozen=True):
    """How a model scored `rows` transactions: how many `alerts` (at or above its review threshold), and its scores by
    the guard's `bins`.
    """

    rows: int
    alerts: int
    bins: list[int]


class ChallengerPointer(msgspec.Struct, frozen=True):
    """Which model is compared with the champion on live traffic: the content of the Redis key that is the truth.

    `role`: "shadow" decides nothing; "canary" decides `share` of the traffic (0..1); "watch" is the former champion,
    kept to compare its successor with. `against`: digest of the champion at the time. `since`, `until`: RFC 3339;
    at `until` a canary becomes the champion and a watch ends, None: neither happens by itself. `expected`: how the
    newer of the two scored when the gate judged it; None where it did not.
    """

    model_version: str
    digest: str
    path: str
    role: ChallengerRole
    against: str
    since: str
    share: float = 0.0
    until: str | None = None
    expected: ScoreProfile | None = None


class ShadowScore(msgspec.Struct, array_like=True, frozen=True):
    """What the model that did not decide says: calibrated fraud probability, 0..1."""

    model_version: str
    model_digest: str
    fraud_probability: float


class WorkInHand(msgspec.Struct, frozen=True):
    """What a worker is doing: "batch", or the name of a task. `since`: Unix seconds on the worker's clock.

    `limit_s`: the longest that it may take; 0: what the watchdog allows workers of its role.
    """

    what: str
    since: float
    limit_s: float = 0.0


class WorkerReport(msgspec.Struct, frozen=True):
    """One worker's heartbeat or its answer to a reload.

    `clock_skew_ms`: how far the broker's clock was ahead of the worker's. `challenger`: as "MODEL_VERSION ROLE", or why
    there is none. `work`: what the worker is doing; null while it waits for a message.
    """

    worker: str
    role: str
    model_version: str | None
    digest: str | None
    status: str
    loaded_at: str | None
    generation: int = 0
    detail: str = ""
    clock_skew_ms: float = 0.0
    challenger: str = ""
    work: WorkInHand | None = None


class JournalRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the ledger keeps about a decision besides the decision itself.

    `sequence`: global arrival order of transactions and labels; offline replay follows it. `values`: what the
    client sent, one per schema field in file order (None: not sent). `derived`: fields that Tollgate filled in.
    `event_at_s`: event time, Unix seconds. `amount`: value of the amount role, if the schema has one.
    `propensity`: the chance with which this action was taken: below 1 where some declines are let through to learn.
    `client`: who sent it, empty where nobody shows credentials.
    `traceparent`: the span of its request, which the ledger does not keep. `shadow`: what the model that is compared
    with the deciding one said, where there is one.
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
    traceparent: str = ""
    shadow: ShadowScore | msgspec.UnsetType = msgspec.UNSET


class JournalEntry(msgspec.Struct, frozen=True):
    """One decision on its way to the ledger. `features`: float64 little-endian, one per model column."""

    decision: Decision
    record: JournalRecord
    features: bytes
