"""The gateway without a queue: scores in this process with a function that it is given, for tests.

It keeps the promises of `web.ports.gateway.ScoringGateway` about ids: the first decision wins, other content under
the same id conflicts, accepted work is found again. `web.memory_ledger` shows the same decisions as a ledger would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

import msgspec

from config import names
from config.contracts import Decision, ScoreRow, WorkerReport
from config.errors import LabelConflict, Overloaded, TollgateError, TransactionConflict, UnknownId
from config.queue.dead_letters import DeadLetter
from config.queue.pulse import Slot
from config.queue.stats import WorkerBeat
from web.label_refusals import label_conflict, unknown_target
from web.memory_desks import MemoryReplays, MemoryReviews
from web.ports.desks import DeadLetterDesk
from web.ports.gateway import Health, ReloadReport
from web.ports.labels import Label, LabelOutcome, LabelRefusal
from web.ports.transactions import Outcome, Transaction

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
            raise unknown_target(label)
        outcome = LabelOutcome(
            "stored",
            label.label_id,
            matched=decision is not None,
            transaction_id=decision.transaction_id if decision else None,
            decision_id=decision.decision_id if decision else None,
        )
        if any(_contradicts(label, outcome, *kept) for kept in self.labels):
            raise label_conflict(label.label_id)
        self.labels.append((label, outcome))
        self.labelled_at = datetime.now(UTC)
        return outcome

    def record_labels(self, labels: Sequence[Label]) -> Sequence[LabelRefusal | None]:
        """See `ScoringGateway.record_labels`."""
        return [self._refusal(label) for label in labels]

    def _refusal(self, label: Label) -> LabelRefusal | None:
        try:
            self.record_label(label)
        except (UnknownId, LabelConflict) as error:
            return error
        return None

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
            transaction_id, "transaction", task, names.QUEUE_ACCEPTED, now, now, 3, failure, payload
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


def _contradicts(label: Label, outcome: LabelOutcome, kept: Label, kept_outcome: LabelOutcome) -> bool:
    """Whether a kept label has the same `label_id` and says something else, as `LabelEntry.content_digest` tells."""
    said = (label.is_fraud, label.source, outcome.transaction_id, label.digest)
    kept_said = (kept.is_fraud, kept.source, kept_outcome.transaction_id, kept.digest)
    return label.label_id == kept.label_id and said != kept_said


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
