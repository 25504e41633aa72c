"""What the web side needs from the rest, as protocols: the gateways, the ledger, the validator, the kept answers.

`web.gateway` (the real queue) and `web.memory_gateway` (in this process) both are a `ScoringGateway`. Views
know only this module, so that none of them can tell which one answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from config.contracts import Action, ChallengerPointer, LabelSource, WorkerReport
from config.queue.batches import BatchRecord
from config.queue.dead_letters import DeadLetter
from config.queue.model_jobs import ChallengerKind, ModelJob
from config.queue.pulse import Slot
from config.queue.replays import ReplayRequest
from config.queue.stats import WorkerBeat
from config.tenants import DEFAULT_TENANT, prefix_of
from ml.advisor.scores import DayScores
from ml.ledger.pulse import LedgerPulse
from ml.ledger.review_book import ReviewFigures, ReviewOrder
from ml.quality.cells import Cell, Dimension, QualityState

CLIENT_SOURCES: tuple[LabelSource, ...] = ("chargeback", "manual_review", "customer", "rule")


class Transaction(Protocol):
    """A validated transaction (`config.schema.validate.Transaction`).

    `values`: one per schema field in file order, None where not sent. `digest`: 16 hex characters over the
    canonical content without the transaction id.
    """

    @property
    def transaction_id(self) -> str | None: ...
    @property
    def values(self) -> list[Any]: ...
    @property
    def digest(self) -> str: ...


class TransactionValidator(Protocol):
    """The compiled schema (`config.schema.validate.Validator`)."""

    def parse(self, body: bytes) -> Transaction:
        """Read one JSON body. Raises MalformedBody or InvalidTransaction with every field error."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a transaction stands.

    `decision_json` is the decision object as the worker encoded it; it is passed on byte for byte. It is
    set exactly when `status` is "decided". `replayed`: the decision was made for an earlier submission of
    the same transaction id. "dead_lettered": accepted and given up; only an operator's replay will decide it.
    """

    status: Literal["decided", "pending", "dead_lettered", "unknown"]
    transaction_id: str
    decision_json: bytes | None = None
    replayed: bool = False


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


@dataclass(frozen=True, slots=True)
class Health:
    """Is anything behind this web process able to score?

    `is_ready`: a warmed scoring worker answered a canary recently. `champion` is None while no model is
    promoted. `workers` are the processes that reported within the last heartbeats.
    """

    is_ready: bool
    is_broker_up: bool
    model_version: str | None = None
    champion: Mapping[str, Any] | None = None
    workers: Sequence[WorkerReport] = ()
    canary_age_s: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """Each scoring worker's answer to one reload; `agreed` when all that were expected serve the champion."""

    workers: Sequence[WorkerReport]
    agreed: bool


class DeadLetterDesk(Protocol):
    """What operators do with accepted work that was given up. Every call raises BrokerUnavailable."""

    def page(self, *, limit: int, offset: int = 0) -> Sequence[DeadLetter]:
        """At most `limit`, the newest first, after skipping `offset`."""

    def find(self, entry_id: str) -> DeadLetter | None:
        """The dead letter of this entry, or None."""

    def replay(self, entry_id: str) -> bool:
        """Give it all its attempts again. False when there is no such dead letter."""

    def drop(self, entry_id: str) -> bool:
        """Forget it for good. False when there is no such dead letter."""


class ReplayDesk(Protocol):
    """Rebuilding of single decisions, done by a background worker. Every call raises BrokerUnavailable."""

    def ask(self, decision_id: str) -> ReplayRequest:
        """Ask for one decision to be rebuilt from the ledger and its bundle, and compared to the bit."""

    def find(self, replay_id: str) -> ReplayRequest | None:
        """What came of it; None when there is no such request (any more)."""


class ReviewDesk(Protocol):
    """Who is looking at which case of the review queue. Leases are short. Every call raises BrokerUnavailable."""

    def claim(self, decision_id: str, reviewer: str) -> bool:
        """Hold a case, or hold it longer. False when another reviewer holds it."""

    def release(self, decision_id: str, reviewer: str) -> None:
        """Let go of a case; nothing when another holds it."""

    def settle(self, decision_id: str, reviewer: str) -> None:
        """Keep a case that was just labelled from being handed out while its label is on its way to the ledger."""

    def holders(self, decision_ids: Sequence[str]) -> Sequence[str | None]:
        """Who holds each of these cases, None where nobody does; `SETTLED` where a label is on its way."""


class TransactionGateway(Protocol):
    """The way from a view to a decision. Every call returns or raises within its time limit; none hangs.

    Ids are as they are kept, with their tenant; `web.own_gateway` is the same for one tenant, with its own ids.
    """

    def score(
        self, transaction: Transaction, *, transaction_id: str, wait_ms: int, explain: bool, client: str = ""
    ) -> Outcome:
        """Score now, waiting at most `wait_ms` (at least 1). `client`: who sent it, for the ledger.

        "pending" means that the time is over and that nothing was accepted: `web.late` decides what then.

        Raises:
            Overloaded: this process holds as many transactions as it may, or the journal is full.
            BrokerUnavailable: the broker cannot be reached.
            LedgerUnavailable: decided long ago, and the ledger that has the decision cannot be read.
            TransactionConflict: the id was used with other content.
        """

    def accept(self, transaction: Transaction, *, transaction_id: str, explain: bool, client: str = "") -> Outcome:
        """Accept for later: durable in the inbox when this returns ("pending"), already "decided", or "dead_lettered".

        Raises: Overloaded, BrokerUnavailable, LedgerUnavailable, TransactionConflict; then nothing was accepted.
        """

    def decide_by_rules(
        self, transaction: Transaction, *, transaction_id: str, explain: bool, client: str = ""
    ) -> Outcome:
        """Decide by the policy file alone, marked `degraded`; the first decision stored wins and is returned.

        Raises: Overloaded (the journal is full), BrokerUnavailable, LedgerUnavailable, TransactionConflict.
        """

    def find(self, transaction_id: str) -> Outcome:
        """Look in result, then inbox, then ledger; "unknown" when it is in none.

        Raises: BrokerUnavailable, LedgerUnavailable.
        """

    def record_label(self, label: Label) -> LabelOutcome:
        """Keep a label durably.

        Raises: UnknownId (no such transaction or decision), Overloaded (the inbox is full), BrokerUnavailable,
        LedgerUnavailable.
        """

    def record_labels(self, labels: Sequence[Label]) -> Sequence[bool]:
        """Keep labels by id durably, all in one entry; for each whether its decision is known (else it was not kept).

        Raises: Overloaded, BrokerUnavailable, LedgerUnavailable; then none was kept, or sending them again is harmless.
        """


class ScoringGateway(TransactionGateway, Protocol):
    """The gateway with what is the operator's, and the desks."""

    def health(self, *, wait: bool = True) -> Health:
        """Never raises: a broker that cannot be reached is a `Health` that says so.

        `wait`: for a canary, where the last answer is old; else what the last one said, however old.
        """

    def reload(self, *, timeout_s: float) -> ReloadReport:
        """Ask every scoring worker to load the champion and collect the answers. Raises BrokerUnavailable."""

    @property
    def dead_letters(self) -> DeadLetterDesk:
        """Accepted work that was given up."""

    @property
    def replays(self) -> ReplayDesk:
        """Rebuilding of single decisions."""

    @property
    def reviews(self) -> ReviewDesk:
        """Who is looking at which case of the review queue."""

    def pulse(self, *, for_s: int) -> Sequence[Slot]:
        """What happened in the last `for_s` seconds, oldest first. Raises BrokerUnavailable."""

    def worker_beats(self) -> Sequence[WorkerBeat]:
        """Every worker that reported in the last hour, the silent ones too. Raises BrokerUnavailable."""

    def drift_stats(self) -> dict[str, float]:
        """The numbers of the last drift check; empty before the first. Raises BrokerUnavailable."""

    def queue_stats(self) -> dict[str, float]:
        """Depths and sizes, by the keys of `config.metrics.shared.QUEUE_GAUGES`. Raises BrokerUnavailable."""


class KeptAnswer(msgspec.Struct, frozen=True):
    """The answer to a request that carried an Idempotency-Key. `fingerprint`: hex SHA-256 of that request."""

    fingerprint: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """An Idempotency-Key that one request holds while it is answered. `mark` tells it from every other request."""

    key: str
    mark: bytes


class IdempotencyStore(Protocol):
    """Remembers what was answered to an Idempotency-Key. A claim frees itself when its process dies."""

    def claim(self, scope: str, client: str, key: str) -> Claim | KeptAnswer:
        """Take the key for this request, or find what it was answered before.

        Raises: RequestInProgress (another request holds it), BrokerUnavailable.
        """

    def refresh(self, claim: Claim) -> None:
        """Hold the key for another while. Raises RequestInProgress (it was lost), BrokerUnavailable."""

    def keep(self, claim: Claim, answer: KeptAnswer) -> None:
        """Remember the answer; nothing when the key was lost. Raises BrokerUnavailable."""

    def release(self, claim: Claim) -> None:
        """Free the key for another try; nothing when the key was lost. Raises BrokerUnavailable."""


class BatchGateway(Protocol):
    """The way from a view to the batches. Every call returns or raises within its time limit."""

    def now_ms(self) -> int:
        """Unix milliseconds on the clock that batches are stamped with."""

    def check_room(self, client: str) -> None:
        """Pass while `client` may submit another batch. Raises TooManyBatches, BrokerUnavailable."""

    def submit(self, record: BatchRecord, keep: tuple[Claim, KeptAnswer] | None = None) -> None:
        """Accept a batch whose upload is on the disk, and remember the answer to its key, together or not at all.

        Raises:
            TooManyBatches: the client has as many unfinished ones as it may.
            RequestInProgress: the key was lost to another request.
            Overloaded: too many submissions at once.
            BrokerUnavailable: the broker failed; whether the batch was accepted is not known.
        """

    def find(self, batch_id: str) -> BatchRecord | None:
        """The batch, or None. Raises BrokerUnavailable."""

    def newest(self, *, limit: int, before: str | None) -> Sequence[BatchRecord]:
        """Newest first, at most `limit`; `before` is the id that the page follows. Raises BrokerUnavailable."""

    def cancel(self, batch_id: str) -> BatchRecord:
        """Stop a batch as soon as its chunks that are out have ended. Idempotent until it has ended.

        Raises: UnknownId, BatchEnded (nothing is left to cancel), BrokerUnavailable.
        """


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions to list, newest first. `before` (an `id`) pages on; times are aware. `tenant`: whose."""

    limit: int = 50
    before: int | None = None
    action: Action | None = None
    model_version: str | None = None
    is_fraud: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_probability: float | None = None
    max_probability: float | None = None
    labelled: bool | None = None
    entity: str | None = None
    value: str | None = None
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One row of the ledger: the decision as it was answered, what the client sent, what was derived.

    `id` grows in the order of arrival in the ledger; `sequence` in the order of scoring. `event_at`: when the payment
    happened. `features`: what the model saw, by column, None where a value was missing; only where one decision is
    asked for, and empty for one made under another schema. `client`: who sent it, empty where
    nobody shows credentials.
    """

    id: int
    sequence: int
    decision: Mapping[str, Any]
    sent: Mapping[str, Any] = field(default_factory=dict)
    derived: Mapping[str, Any] = field(default_factory=dict)
    labels: Sequence[Mapping[str, Any]] = ()
    event_at: datetime | None = None
    amount: float | None = None
    features: Mapping[str, float | None] = field(default_factory=dict)
    client: str = ""


class DecisionLedger(Protocol):
    """What the pages read from the ledger. Every method raises LedgerUnavailable when it is down.

    Where a `tenant` is asked for, nothing of another one is found, and ids are as that tenant sent them. The other
    methods speak of everybody's decisions together: what they say is the operator's.
    """

    def find_decision(self, decision_id: str, *, tenant: str) -> StoredDecision | None:
        """The decision with this decision id or transaction id."""

    def list_decisions(self, wanted: DecisionFilter) -> Sequence[StoredDecision]:
        """Newest first, at most `wanted.limit`."""

    def history_of(self, entity: str, value: str, *, limit: int, tenant: str) -> Sequence[StoredDecision]:
        """The decisions about one account, card or merchant, latest event first."""

    def open_reviews(
        self, order: ReviewOrder, *, limit: int, tenant: str, after: int | None = None
    ) -> Sequence[StoredDecision]:
        """A tenant's decisions to review without a label: those that may cost most first, or the oldest.

        `after`: only those that come after its decision with this `id`.
        """

    def review_figures(self, *, done_since: datetime, tenant: str) -> ReviewFigures:
        """How many cases wait and since when, and how many reviewers have labelled since a moment."""

    def drift_reports(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest drift reports, newest first: id, created_at, has_asked, report; JSON types only."""

    def drift_report(self, report_id: int) -> Mapping[str, Any] | None:
        """One drift report; None when there is none of this id (any more)."""

    def model_events(self) -> Sequence[Mapping[str, Any]]:
        """The audit trail of models, newest first, some dozens; JSON types only."""

    def summary(self) -> Mapping[str, Any]:
        """Counts so far: decisions by action, fraud share, labels, accuracy; JSON types only."""

    def pulse(self) -> LedgerPulse:
        """What its newest rows say."""

    def quality_state(self) -> QualityState | None:
        """When live quality was rolled up, and with what; None before the first time."""

    def quality_newest_day(self, *, before: str) -> str | None:
        """The last day with decisions before a day (`2026-03-01`), or None."""

    def quality_cells(self, dimension: Dimension, *, since: str, until: str) -> Sequence[Cell]:
        """Live quality of the days in [since, until), by day."""

    def day_scores(self, *, since: str, until: str) -> Sequence[DayScores]:
        """Sums by score of the days in [since, until), by day and model version."""


@dataclass(frozen=True, slots=True)
class ChallengerState:
    """`pointer`: None while no model is compared with the champion. `guard`: the last check; None before the first."""

    pointer: ChallengerPointer | None = None
    guard: Mapping[str, Any] | None = None


class ModelOperations(Protocol):
    """Work on models, done by workers. Every method raises BrokerUnavailable; none waits longer than it is told."""

    def retrain(self, *, actor: str) -> ModelJob:
        """Ask for a training on the ledger; one that waits already is returned. Raises TrainingRunning."""

    def latest_training(self) -> ModelJob | None:
        """The newest training, whoever asked for it; "failed" when its worker died."""

    def promote(self, model_version: str, *, force: bool, actor: str) -> ModelJob:
        """Ask for a promotion by the gate, or, with `force`, without it."""

    def roll_back(self, *, actor: str) -> ModelJob:
        """Ask for the model that the champion replaced."""

    def compare(self, kind: ChallengerKind, model_version: str | None, *, share: float, actor: str) -> ModelJob:
        """Ask for a model beside the champion ("shadow", "canary" with a share), or for the end of that."""

    def challenger(self) -> ChallengerState:
        """The model beside the champion, and what the guard found last."""

    def find(self, job_id: str) -> ModelJob | None:
        """The job with this id."""

    def wait_for(self, job: ModelJob, *, timeout_s: float) -> ModelJob:
        """The job as it is once it has finished, or after `timeout_s`."""
