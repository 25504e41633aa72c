"""The JSON that web answers with, as typed structures. The OpenAPI document takes its schemas from here.

The decision itself is `config.contracts.Decision`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from config.contracts import ChallengerPointer, Decision, LabelSource, WorkerReport
from config.queue.batches import BatchFormat, BatchStatus
from config.queue.dead_letters import Kind
from config.queue.model_jobs import ModelJob
from ml.ledger.key_book import KeyKind
from ml.ledger.review_book import ReviewOrder
from ml.quality.cells import LabelDelay
from ml.quality.summary import Grouping, QualityGroup


class Pending(msgspec.Struct, frozen=True):
    """Accepted, not decided yet: ask at `location` again, `retry_after_s` seconds from now."""

    status: Literal["pending"]
    transaction_id: str
    location: str
    retry_after_s: int


class DeadLettered(msgspec.Struct, frozen=True):
    """Accepted and given up after its last attempt: not decided unless an operator replays it."""

    status: Literal["dead_lettered"]
    transaction_id: str
    location: str
    retry_after_s: int
    detail: str


class LabelRecord(msgspec.Struct, frozen=True):
    """The label as it was kept.

    `matched`: it belongs to a decision; otherwise it was kept as a labelled transaction of its own. `status`:
    "stored" in the ledger, or "accepted" and durable on its way there.
    """

    status: Literal["stored", "accepted"]
    label_id: str
    matched: bool
    transaction_id: str | None
    decision_id: str | None
    is_fraud: bool
    source: LabelSource
    reason_code: str | None
    known_at: str
    amount: float | None


class LabelRowError(msgspec.Struct, frozen=True):
    """A row of a file of labels that was not kept, by its line, from 1. `errors`: `{pointer, code, message}` each."""

    line: int
    code: str
    detail: str
    errors: list[dict[str, str]]


class LabelFileReport(msgspec.Struct, frozen=True):
    """What became of a file of labels. `errors`: the first refused rows; `errors_omitted`: how many more there are.

    Accepted labels are durable on their way to the ledger, one that was accepted before included.
    """

    received: int
    accepted: int
    refused: int
    errors: list[LabelRowError]
    errors_omitted: int


class HealthReport(msgspec.Struct, frozen=True):
    """Whether this service can score, and with what.

    `served_versions`: the models in service now, by every worker that reports; more than one while a swap is under way.
    """

    status: Literal["ok", "unavailable"]
    model_version: str | None
    champion: dict[str, Any] | None
    workers: list[WorkerReport]
    broker: Literal["up", "down"]
    canary_age_s: float | None
    detail: str = ""
    served_versions: list[str] = []


class Trouble(msgspec.Struct, frozen=True):
    """Something that calls for somebody: now if `critical`, today if `warning`. `alert`: the section of docs/RUNBOOK.md
    about it.
    """

    what: str
    alert: str
    severity: Literal["critical", "warning"] = "critical"


class MetricsSummary(msgspec.Struct, frozen=True):
    """What is wrong now, the worst first, and what this service did so far, for people; a part that cannot be read is
    `{"unavailable": why}`.
    """

    wrong: list[Trouble]
    decisions: dict[str, Any]
    quality: dict[str, Any]
    queue: dict[str, Any]
    drift: dict[str, Any]
    service: HealthReport


class Liveness(msgspec.Struct, frozen=True):
    """This web process runs."""

    status: Literal["ok"]


class ReloadAnswer(msgspec.Struct, frozen=True):
    """Each scoring worker's answer; `agreed` when every expected one serves the champion."""

    workers: list[WorkerReport]
    agreed: bool


class ModelEntry(msgspec.Struct, frozen=True):
    """One model bundle in the bundle store. `report` is what training measured, `gate` the newest decision about it."""

    model_version: str
    is_champion: bool
    digest: str
    created_at: str
    report: dict[str, Any]
    gate: dict[str, Any] | None = None


class ModelList(msgspec.Struct, frozen=True):
    """The champion pointer, every bundle known, and the audit trail, newest first.

    `events`: who promoted, rejected or rolled back what, when and why; None while the ledger cannot be read.
    `challenger`: the model that scoring workers load beside the champion; `guard`: how the newer of the two keeps its
    guardrails, at the last check. `incremental`: what the incremental model has learned from, and by week how good it
    was when it mattered (`prequential`) beside what was answered (`served`); None before its first step.
    """

    champion: dict[str, Any] | None
    models: list[ModelEntry]
    events: list[dict[str, Any]] | None = None
    challenger: ChallengerPointer | None = None
    guard: dict[str, Any] | None = None
    incremental: dict[str, Any] | None = None


class TrainingState(msgspec.Struct, frozen=True):
    """Whether a training runs, and the newest one with what came of it."""

    status: Literal["idle", "queued", "running"]
    latest: ModelJob | None


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


class DriftSummary(msgspec.Struct, frozen=True):
    """One drift check in short.

    `status`: stable, drifting, strong (a challenger is asked for when the next one is strong too), or why nothing was
    compared. `detail`: what drifts. `score_psi`: population stability index of the score. `picture`: None where nothing
    was compared.
    """

    id: int
    created_at: str
    status: str
    detail: str
    model_version: str
    rows: int
    score_psi: float | None
    drifting: list[str]
    has_asked: bool
    location: str
    picture: str | None


class DriftList(msgspec.Struct, frozen=True):
    """Drift checks, newest first. `newest`: the last one in full, None when there was none yet."""

    reports: list[DriftSummary]
    newest: dict[str, Any] | None


class DriftRecord(msgspec.Struct, frozen=True):
    """One drift check in full: docs/drift.md describes `report`."""

    id: int
    created_at: str
    has_asked: bool
    report: dict[str, Any]


class DecisionPage(msgspec.Struct, frozen=True):
    """Decisions, newest first. `next`: where the following page is, None at the end."""

    decisions: list[DecisionRecord]
    next: str | None


class ReviewCase(msgspec.Struct, frozen=True):
    """One case of the queue. `expected_loss`: fraud probability times amount. `is_held`: somebody looks at it."""

    expected_loss: float
    is_held: bool
    case: DecisionRecord


class ReviewQueue(msgspec.Struct, frozen=True):
    """Decisions to review that nobody has labelled.

    `open`: how many there are. `oldest_at`: when the oldest was scored. `done_today`: labels of reviewers since
    midnight UTC. `reviews`: a page of them in the order asked for; `next`: where the one after it is, null at the end.
    """

    open: int
    oldest_at: str | None
    done_today: int
    order: ReviewOrder
    reviews: list[ReviewCase]
    next: str | None = None


class QualityReport(msgspec.Struct, frozen=True):
    """Live quality of the days in [since, until), by event time in UTC. docs/quality.md has the definitions.

    `rolled_at`: when the figures were last brought up to date, None before the first time. `k`: of precision at k.
    `label_delay`: after how long a day counts as matured.
    """

    by: Grouping
    since: str
    until: str
    k: int
    rolled_at: str | None
    label_delay: LabelDelay | None
    groups: list[QualityGroup]


class DeadLetterRecord(msgspec.Struct, frozen=True):
    """Accepted work that was given up.

    `content`: the names that were sent, each with its JSON type, or with its value where `?values=true` asked for it.
    `failure`: why the last attempt that could say so failed; null when its worker died.
    """

    id: str
    kind: Kind
    queue: str
    accepted_at: str
    dead_at: str
    attempts: int
    failure: str | None
    content: dict[str, Any]


class DeadLetterPage(msgspec.Struct, frozen=True):
    """Dead letters, newest first. `next`: where the following page is, None at the end."""

    dead_letters: list[DeadLetterRecord]
    next: str | None


class ReplayRecord(msgspec.Struct, frozen=True):
    """The dead letter has all its attempts again and is on its queue."""

    status: Literal["replayed"]
    id: str


class RowCounts(msgspec.Struct, frozen=True):
    """Rows of a batch. `total` is 0 until the upload has been read; `failed` are those that were refused."""

    total: int
    completed: int
    failed: int


class BatchFault(msgspec.Struct, frozen=True):
    """Why a whole batch failed."""

    code: str
    detail: str


class BatchReport(msgspec.Struct, frozen=True):
    """Where a batch stands.

    `progress`: share of its rows that are done, 0 to 1. `results` and `errors`: where they can be read, from when the
    batch has ended until `expires_at`; errors also before, for the part that is done.
    """

    id: str
    status: BatchStatus
    request_counts: RowCounts
    progress: float
    rows_per_second: float | None
    estimated_end_at: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    expires_at: str | None
    format: BatchFormat
    upload_bytes: int
    results: str
    errors: str
    error: BatchFault | None


class BatchPage(msgspec.Struct, frozen=True):
    """Batches, newest first. `next`: where the following page is, None at the end."""

    batches: list[BatchReport]
    next: str | None


class ResultRow(Decision, frozen=True, kw_only=True):
    """One line of a batch's results. `row`: place in the upload, from 1; `replayed`: it was decided before."""

    row: int
    replayed: bool


class RowError(msgspec.Struct, frozen=True):
    """One thing wrong with a row."""

    field: str | None
    code: str
    reason: str


class ErrorRow(msgspec.Struct, frozen=True):
    """One line of a batch's errors: a row that was refused, where it is, and everything that is wrong with it."""

    row: int
    line: int
    transaction_id: str | None
    code: str
    field: str | None
    reason: str
    errors: list[RowError]


class ApiKeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that shall be made. `scopes`: what it may do. `expires_in_s`: None: until it is revoked."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    scopes: Annotated[list[str], msgspec.Meta(min_length=1, max_length=16)]
    tenant: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")] = "default"
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=315_360_000)] | None = None


class ApiKeyRecord(msgspec.Struct, frozen=True):
    """What may be known of a key. `prefix`: how its text begins. `replaced_by`: the key made by rotating it."""

    key_id: str
    prefix: str
    kind: KeyKind
    name: str
    tenant: str
    scopes: list[str]
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None
    replaced_by: str | None


class ApiKeyEvent(msgspec.Struct, frozen=True):
    """What was done to a key. `about`: which one, what it may do."""

    at: str
    actor: str
    action: str
    about: list[str]


class ApiKeyList(msgspec.Struct, frozen=True):
    """Every key that there ever was, oldest first, and the newest entries of the audit trail about them."""

    keys: list[ApiKeyRecord]
    events: list[ApiKeyEvent]


class ApiKeyIssued(msgspec.Struct, frozen=True):
    """A new key. `api_key`: what its owner shows; it is told this once and kept nowhere."""

    api_key: str
    key: ApiKeyRecord
