"""The gateway without a queue: scores in this process with a function that it is given, for tests.

It keeps the promises of `web.ports.ScoringGateway` about ids: the first decision wins, other content under
the same id conflicts, accepted work is found again. `MemoryLedger` shows the same decisions as a ledger
would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import msgspec

from config import names
from config.contracts import Decision, ScoreRow, WorkerReport
from config.errors import Overloaded, TollgateError, TransactionConflict, UnknownId
from config.queue.dead_letters import DeadLetter
from config.queue.pulse import Slot
from config.queue.stats import WorkerBeat
from config.tenants import prefix_for, sent_id, tenant_of
from ml.advisor.scores import DayScores
from ml.ledger.pulse import LedgerPulse
from ml.ledger.review_book import ReviewFigures, ReviewOrder
from ml.quality.cells import Cell, Dimension, QualityState
from web.memory_desks import MemoryReplays, MemoryReviews
from web.ports import (
    DeadLetterDesk,
    DecisionFilter,
    Health,
    Label,
    LabelOutcome,
    Outcome,
    ReloadReport,
    StoredDecision,
    Transaction,
)

Decide = Callable[[Transaction, str, bool], Decision]


@dataclass(slots=True)
class _Entry:
    transaction: Transaction
    explain: bool
    decision: Decision | None = None


@dataclass(slots=True)
class MemoryGateway:
    """Scores with `decide(transaction, transaction_id, explain)`, at once.

    `is_stalled`: the workers are down, deadlines pass. `is_full`: no more fit into the queue. `failure`: what calls
    that need the broker raise. `drift`: the numbers of the last drift check. `clients`: who sent it first, by
    transaction id.
    """

    decide: Decide
    workers: Sequence[WorkerReport] = ()
    is_stalled: bool = False
    is_full: bool = False
    failure: TollgateError | None = None
    labels: list[tuple[Label, LabelOutcome]] = field(default_factory=list)
    given_up: dict[str, DeadLetter] = field(default_factory=dict)
    drift: dict[str, float] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    labelled_at: datetime | None = None
    slots: Sequence[Slot] = ()
    replays: MemoryReplays = field(default_factory=MemoryReplays)
    reviews: MemoryReviews = field(default_factory=MemoryReviews)
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def score(
        self, transaction: Transaction, *, transaction_id: str, wait_ms: int, explain: bool, client: str = ""
    ) -> Outcome:
        """See `ScoringGateway.score`; only a wait of nothing is too short, or any while workers are down."""
        self._require_broker()
        if self.is_full:
            raise Overloaded(retry_after_s=1)
        if self.is_stalled or wait_ms < 1:
            return self._known(transaction, transaction_id) or Outcome("pending", transaction_id)
        self.clients.setdefault(transaction_id, client)
        return self._decide(transaction, transaction_id, explain)

    def accept(self, transaction: Transaction, *, transaction_id: str, explain: bool, client: str = "") -> Outcome:
        """See `ScoringGateway.accept`; `work_off` decides what was accepted."""
        self._require_broker()
        known = self._known(transaction, transaction_id)
        if known is None:
            self.clients.setdefault(transaction_id, client)
            with self._lock:
                self._entries.setdefault(transaction_id, _Entry(transaction, explain))
        return known or Outcome("pending", transaction_id)

    def decide_by_rules(
        self, transaction: Transaction, *, transaction_id: str, explain: bool, client: str = ""
    ) -> Outcome:
        """See `ScoringGateway.decide_by_rules`."""
        self._require_broker()
        self.clients.setdefault(transaction_id, client)
        return self._decide(transaction, transaction_id, explain, is_degraded=True)

    def find(self, transaction_id: str) -> Outcome:
        """See `ScoringGateway.find`."""
        self._require_broker()
        entry = self._entries.get(transaction_id)
        if entry is None:
            return Outcome("unknown", transaction_id)
        if entry.decision is None:
            return Outcome("dead_lettered" if transaction_id in self.given_up else "pending", transaction_id)
        return Outcome("decided", transaction_id, msgspec.json.encode(entry.decision))

    def record_label(self, label: Label) -> LabelOutcome:
        """See `ScoringGateway.record_label`."""
        self._require_broker()
        decision = self._labelled(label)
        if decision is None and label.digest is None:
            raise UnknownId(f"no decision is known by the id {label.decision_id or label.transaction_id!r}")
        outcome = LabelOutcome(
            "stored",
            label.label_id,
            matched=decision is not None,
            transaction_id=decision.transaction_id if decision else None,
            decision_id=decision.decision_id if decision else None,
        )
        self.labels.append((label, outcome))
        self.labelled_at = datetime.now(UTC)
        return outcome

    def record_labels(self, labels: Sequence[Label]) -> Sequence[bool]:
        """See `ScoringGateway.record_labels`."""
        known = [self._labelled(label) is not None for label in labels]
        for label, is_known in zip(labels, known, strict=True):
            if is_known:
                self.record_label(label)
        return known

    def health(self, *, wait: bool = True) -> Health:  # noqa: ARG002  nothing to wait for
        """See `ScoringGateway.health`."""
        if self.failure is not None:
            return Health(is_ready=False, is_broker_up=False, detail=self.failure.detail)
        versions = [worker.model_version for worker in self.workers if worker.model_version]
        return Health(
            is_ready=bool(versions) and not self.is_stalled,
            is_broker_up=True,
            model_version=versions[0] if versions else None,
            champion={"model_version": versions[0]} if versions else None,
            workers=self.workers,
            canary_age_s=0.0 if versions and not self.is_stalled else None,
        )

    def reload(self, *, timeout_s: float) -> ReloadReport:
        """See `ScoringGateway.reload`."""
        self._require_broker()
        agreed = bool(self.workers) and all(worker.status == "serving" for worker in self.workers)
        return ReloadReport(self.workers, agreed and timeout_s > 0)

    @property
    def dead_letters(self) -> DeadLetterDesk:
        """See `ScoringGateway.dead_letters`."""
        return _MemoryDeadLetters(self)

    def pulse(self, *, for_s: int) -> Sequence[Slot]:  # noqa: ARG002  the test chose them
        """See `ScoringGateway.pulse`; always the given slots."""
        self._require_broker()
        return self.slots

    def worker_beats(self) -> Sequence[WorkerBeat]:
        """See `ScoringGateway.worker_beats`; every worker reported just now."""
        self._require_broker()
        return [WorkerBeat(report.worker, 0.0, report) for report in self.workers]

    def drift_stats(self) -> dict[str, float]:
        """See `ScoringGateway.drift_stats`."""
        self._require_broker()
        return dict(self.drift)

    def queue_stats(self) -> dict[str, float]:
        """See `ScoringGateway.queue_stats`."""
        self._require_broker()
        waiting = sum(entry.decision is None for entry in self._entries.values())
        return {
            "queue_depth_score": 0.0,
            "inbox_entries": float(waiting - len(self.given_up)),
            "dead_letters": float(len(self.given_up)),
        }

    def give_up(self, transaction_id: str, *, failure: str | None = None) -> None:
        """Make accepted work a dead letter, as its last attempt would."""
        transaction = self._entries[transaction_id].transaction
        row = ScoreRow(transaction_id, transaction.digest, 0, 0, transaction.values)
        now = datetime.now(UTC)
        task, payload = names.TASK_SCORE_ACCEPTED, msgspec.json.encode(row)
        self.given_up[transaction_id] = DeadLetter(
            transaction_id, "transaction", task, names.QUEUE_SCORE, now, now, 3, failure, payload
        )

    def work_off(self) -> int:
        """Decide everything that was accepted and not given up, as a worker would; returns how many there were."""
        undecided = [(key, entry) for key, entry in self._entries.items() if entry.decision is None]
        waiting = [(key, entry) for key, entry in undecided if key not in self.given_up]
        for transaction_id, entry in waiting:
            self._decide(entry.transaction, transaction_id, entry.explain)
        return len(waiting)

    def decided(self) -> list[tuple[Transaction, Decision]]:
        """Every decision in the order in which its transaction came."""
        return [(e.transaction, e.decision) for e in self._entries.values() if e.decision is not None]

    def _require_broker(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _known(self, transaction: Transaction, transaction_id: str) -> Outcome | None:
        entry = self._entries.get(transaction_id)
        if entry is None:
            return None
        if entry.transaction.digest != transaction.digest:
            raise TransactionConflict(f"transaction_id {transaction_id!r} was sent before with other content")
        if entry.decision is None:
            return Outcome("dead_lettered" if transaction_id in self.given_up else "pending", transaction_id)
        return Outcome("decided", transaction_id, msgspec.json.encode(entry.decision), replayed=True)

    def _decide(
        self, transaction: Transaction, transaction_id: str, explain: bool, *, is_degraded: bool = False
    ) -> Outcome:
        known = self._known(transaction, transaction_id)
        if known is not None and known.status == "decided":
            return known
        decision = self.decide(transaction, transaction_id, explain)
        if is_degraded:
            decision = msgspec.structs.replace(decision, degraded=True)
        with self._lock:
            entry = self._entries.setdefault(transaction_id, _Entry(transaction, explain))
            entry.decision = entry.decision or decision
            encoded = msgspec.json.encode(entry.decision)
        return Outcome("decided", transaction_id, encoded)

    def _labelled(self, label: Label) -> Decision | None:
        for transaction, decision in reversed(self.decided()):
            if not label.shares_tenant(decision.transaction_id):
                continue
            if label.transaction_id == decision.transaction_id or label.decision_id == decision.decision_id:
                return decision
            if label.transaction_id is None and label.digest == transaction.digest:
                return decision
        return None


@dataclass(frozen=True, slots=True)
class _MemoryDeadLetters:
    """The given-up work of a `MemoryGateway`, as a `DeadLetterDesk`."""

    gateway: MemoryGateway

    def page(self, *, limit: int, offset: int = 0) -> Sequence[DeadLetter]:
        """See `DeadLetterDesk.page`."""
        self.gateway._require_broker()
        return list(reversed(self.gateway.given_up.values()))[offset : offset + limit]

    def find(self, entry_id: str) -> DeadLetter | None:
        """See `DeadLetterDesk.find`."""
        self.gateway._require_broker()
        return self.gateway.given_up.get(entry_id)

    def replay(self, entry_id: str) -> bool:
        """See `DeadLetterDesk.replay`; `work_off` decides it then."""
        self.gateway._require_broker()
        return self.gateway.given_up.pop(entry_id, None) is not None

    def drop(self, entry_id: str) -> bool:
        """See `DeadLetterDesk.drop`."""
        self.gateway._require_broker()
        is_known = self.gateway.given_up.pop(entry_id, None) is not None
        if is_known:
            del self.gateway._entries[entry_id]
        return is_known


@dataclass(frozen=True, slots=True)
class MemoryLedger:
    """The decisions of a `MemoryGateway`, as a `DecisionLedger`. `names`: the schema's fields in order.

    Nothing is rolled up here: `cells`, `scores` and `state` are what it shows. `reports`: drift reports, newest first.
    """

    gateway: MemoryGateway
    names: Sequence[str]
    cells: Sequence[Cell] = ()
    state: QualityState | None = None
    reports: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Mapping[str, Any]] = ()
    scores: Sequence[DayScores] = ()

    def find_decision(self, decision_id: str, *, tenant: str) -> StoredDecision | None:
        """See `DecisionLedger.find_decision`."""
        for stored in self._of(tenant):
            if decision_id in (stored.decision["decision_id"], stored.decision["transaction_id"]):
                return stored
        return None

    def list_decisions(self, wanted: DecisionFilter) -> Sequence[StoredDecision]:
        """See `DecisionLedger.list_decisions`; filters by cursor, action, version and verdict."""
        equal = {"action": wanted.action, "model_version": wanted.model_version, "is_fraud": wanted.is_fraud}
        low, high = wanted.min_probability or 0.0, 1.0 if wanted.max_probability is None else wanted.max_probability
        found = [
            stored
            for stored in reversed(self._of(wanted.tenant))
            if (wanted.before is None or stored.id < wanted.before)
            and low <= stored.decision["fraud_probability"] <= high
            and all(value is None or stored.decision[name] == value for name, value in equal.items())
            and (wanted.labelled is None or bool(stored.labels) == wanted.labelled)
            and (wanted.entity is None or self._is_about(stored, wanted.entity, wanted.value))
        ]
        return found[: wanted.limit]

    def history_of(self, entity: str, value: str, *, limit: int, tenant: str) -> Sequence[StoredDecision]:
        """See `DecisionLedger.history_of`; the latest to come first."""
        return [stored for stored in reversed(self._of(tenant)) if self._is_about(stored, entity, value)][:limit]

    def open_reviews(
        self, order: ReviewOrder, *, limit: int, tenant: str, after: int | None = None
    ) -> Sequence[StoredDecision]:
        """See `DecisionLedger.open_reviews`."""
        found = [stored for stored in self._of(tenant) if stored.decision["action"] == "review"]
        if order == "loss":
            found.sort(key=lambda stored: -stored.decision["fraud_probability"] * (stored.amount or 0.0))
        if after is not None:
            place = next((number for number, stored in enumerate(found, start=1) if stored.id == after), len(found))
            found = found[place:]
        return [stored for stored in found if not stored.labels][:limit]

    def review_figures(self, *, done_since: datetime, tenant: str) -> ReviewFigures:
        """See `DecisionLedger.review_figures`."""
        waiting = self.open_reviews("age", limit=len(self._all()), tenant=tenant)
        oldest_at = datetime.fromisoformat(waiting[0].decision["scored_at"]) if waiting else None
        labels = [label for label, _ in self._labels(tenant) if label.source == "manual_review"]
        return ReviewFigures(len(waiting), oldest_at, sum(label.known_at >= done_since for label in labels))

    def drift_reports(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """See `DecisionLedger.drift_reports`."""
        return self.reports[:limit]

    def drift_report(self, report_id: int) -> Mapping[str, Any] | None:
        """See `DecisionLedger.drift_report`."""
        return next((report for report in self.reports if report["id"] == report_id), None)

    def model_events(self) -> Sequence[Mapping[str, Any]]:
        """See `DecisionLedger.model_events`."""
        return self.events

    def summary(self) -> Mapping[str, Any]:
        """See `DecisionLedger.summary`."""
        return {"decisions": len(self._all()), "labels": len(self.gateway.labels), "accuracy": None}

    def pulse(self) -> LedgerPulse:
        """See `DecisionLedger.pulse`."""
        verdicts = [decision.is_fraud for _, decision in self.gateway.decided()]
        return LedgerPulse(len(verdicts), sum(verdicts), self.gateway.labelled_at)

    def quality_state(self) -> QualityState | None:
        """See `DecisionLedger.quality_state`."""
        return self.state

    def quality_newest_day(self, *, before: str) -> str | None:
        """See `DecisionLedger.quality_newest_day`."""
        return max((cell.day for cell in self.cells if cell.day < before), default=None)

    def quality_cells(self, dimension: Dimension, *, since: str, until: str) -> Sequence[Cell]:
        """See `DecisionLedger.quality_cells`."""
        return [cell for cell in self.cells if cell.dimension == dimension and since <= cell.day < until]

    def day_scores(self, *, since: str, until: str) -> Sequence[DayScores]:
        """See `DecisionLedger.day_scores`."""
        return [one for one in self.scores if since <= one.day < until]

    def _labels(self, tenant: str) -> list[tuple[Label, LabelOutcome]]:
        return [one for one in self.gateway.labels if tenant_of(one[0].label_id) == tenant]

    def _of(self, tenant: str) -> list[StoredDecision]:
        """Of one tenant, with its ids as it sent them."""
        found = [one for one in self._all() if tenant_of(one.decision["transaction_id"]) == tenant]
        prefix = len(prefix_for(tenant))
        return [
            replace(one, decision={**one.decision, "transaction_id": one.decision["transaction_id"][prefix:]})
            for one in found
        ]

    def _all(self) -> list[StoredDecision]:
        return [
            StoredDecision(
                id=number,
                sequence=number,
                decision=msgspec.to_builtins(decision),
                sent=self._sent(transaction),
                event_at=datetime.fromisoformat(decision.scored_at),
                amount=self._sent(transaction).get("amount"),
                client=self.gateway.clients.get(decision.transaction_id, ""),
                labels=[
                    {
                        "label_id": sent_id(label.label_id),
                        "is_fraud": label.is_fraud,
                        "source": label.source,
                        "reason_code": label.reason_code,
                        "known_at": label.known_at.isoformat(),
                        "received_at": label.known_at.isoformat(),
                        "amount": label.amount,
                        "client": label.client,
                    }
                    for label, outcome in self.gateway.labels
                    if outcome.decision_id == decision.decision_id
                ],
            )
            for number, (transaction, decision) in enumerate(self.gateway.decided(), start=1)
        ]

    def _sent(self, transaction: Transaction) -> dict[str, Any]:
        return {n: v for n, v in zip(self.names, transaction.values, strict=True) if v is not None}

    @staticmethod
    def _is_about(stored: StoredDecision, entity: str, value: str | None) -> bool:
        return str(stored.sent.get(f"{entity}_id")) == value
