"""The gateway: the only module of the web side that talks to the queue. Implements `web.ports.ScoringGateway`.

Synchronous rows go through the coalescer and come back on this process's reply list. Accepted work (async rows,
labels) goes through the inbox: one script writes payload and message together. When the broker is down every call
raises BrokerUnavailable at once (fail closed: nothing is accepted that could be lost).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import msgspec
import redis

from config import names
from config.celery_app import make_celery
from config.contracts import Decision, JournalRecord, LabelEntry, ScoreBatch, ScoreRow
from config.errors import (
    BrokerUnavailable,
    LabelConflict,
    LedgerUnavailable,
    TollgateError,
    TransactionConflict,
    UnknownId,
)
from config.log_context import current_request
from config.queue import pulse
from config.queue.clock import ServerClock
from config.queue.connections import make_redis
from config.queue.dead_letters import DeadLetters
from config.queue.messages import TaskMessage
from config.queue.results import DIGEST_LENGTH, decision_of, result_lifetime_s
from config.queue.server_scripts import register
from config.queue.stats import (
    WorkerBeat,
    broker_stats,
    drift_stats,
    queue_stats,
    read_champion,
    worker_beats,
    worker_reports,
)
from config.schema.model import Schema
from config.settings import Settings
from config.tracing import current_traceparent, linked_span
from ml.policy_in_force import policy_in_force
from web.batch_gateway import QueuedBatches
from web.breaker import Breaker
from web.canary import Canary
from web.coalescer import Coalescer, Observe, SizeCap, broker_lost
from web.dead_letters import QueueDeadLetters
from web.idempotency_store import RedisIdempotency
from web.journal_search import find_undrained
from web.label_chunks import LabelChunks, label_entry
from web.ports import (
    DeadLetterDesk,
    Health,
    Label,
    LabelOutcome,
    Outcome,
    ReloadReport,
    ReplayDesk,
    ReviewDesk,
    Transaction,
)
from web.pressure import Pressure
from web.pulse import RequestPulse
from web.reload import ReloadRequest
from web.replay_desk import QueuedReplays
from web.replies import ReplyThread
from web.review_desk import RedisReviews
from web.rules import RulesDecider

T = TypeVar("T")

REPLY_SOCKET_TIMEOUT_S = 1.0
_STATUS_NEW = "N"
_STATUS_REPLAYED = "D"
_STATUS_CONFLICT = "C"
_STATUS_EXPIRED = "X"
_STATUS_FAILED = "E"
_ONLY_IN_LEDGER = (b"", b"null")

_encode = msgspec.json.Encoder().encode


class DecisionLookup(Protocol):
    """The part of the ledger that the gateway reads: decisions as their JSON, by id."""

    def decision_json(self, transaction_id: str) -> bytes | None:
        """The stored decision of this transaction, encoded, or None. Raises LedgerUnavailable."""

    def find_label_target(self, label: Label) -> tuple[str, str] | None:
        """`(decision_id, transaction_id)` of the decision that the label is about, or None."""

    def find_label_targets(self, labels: Sequence[Label]) -> Sequence[tuple[str, str] | None]:
        """The same for labels by id: one per label in order."""


class Gateway:
    """One per web process. `start` opens the reply thread; nothing connects before."""

    def __init__(
        self,
        settings: Settings,
        schema: Schema,
        lookup: DecisionLookup,
        *,
        observe: Observe | None = None,
        requests: RequestPulse | None = None,
    ) -> None:
        self._settings = settings
        self._schema = schema
        self._lookup = lookup
        app = make_celery(settings, "web")
        self._score_message = TaskMessage(app, names.TASK_SCORE_BATCH, names.QUEUE_SCORE)
        self._accepted_message = TaskMessage(app, names.TASK_SCORE_ACCEPTED, names.QUEUE_SCORE)
        self._label_message = TaskMessage(app, names.TASK_RECORD_LABEL, names.QUEUE_BACKGROUND)
        self._client = make_redis(settings, timeout_s=settings.broker_timeout_s, connections=settings.web_threads + 2)
        self._accept = register(self._client, "accept")
        self._commit = register(self._client, "commit")
        self._label_chunks = LabelChunks(settings, app, self._client, lookup, guard=self._call)
        self._requests = requests or RequestPulse()
        self._replays = QueuedReplays(app, self._client, self._call)
        self._reviews = RedisReviews(self._client, self._call)
        self._dead_letters = QueueDeadLetters(DeadLetters(self._client, app, settings), self._call)
        self._rules = RulesDecider(schema, policy_in_force(settings, schema))
        self._reply_key = names.reply_key(f"{os.getpid()}-{uuid4().hex[:12]}")
        self._clock = ServerClock()
        self._pressure = Pressure(settings)
        self._breaker = Breaker(settings.breaker_reset_s)
        self.batches = QueuedBatches(settings, app, self._client, clock=self._clock, guard=self._call)
        self.idempotency = RedisIdempotency(settings, self._client, guard=self._call)
        self.coalescer = Coalescer(
            self._send,
            capacity=settings.queue_capacity,
            in_flight_limit=settings.batches_in_flight,
            cap=SizeCap(settings.batch_max_rows, settings.latency_objective_ms / 1000),
            observe=observe,
        )
        self._canary = Canary(self.coalescer, schema, settings)
        self._reload = ReloadRequest(self._client, app)
        self._replies = ReplyThread(
            make_redis(settings, timeout_s=REPLY_SOCKET_TIMEOUT_S, connections=2),
            self._reply_key,
            coalescer=self.coalescer,
            breaker=self._breaker,
            look_around=self._look_around,
        )

    def start(self) -> None:
        """Start reading replies."""
        self._replies.start()

    def close(self) -> None:
        """Stop the reply thread and drop the connections."""
        self._replies.stop()
        self._client.close()

    def score(
        self, transaction: Transaction, *, transaction_id: str, wait_ms: int, explain: bool, client: str = ""
    ) -> Outcome:
        """See `ScoringGateway.score`."""
        self._pressure.check_journal()
        row = self._row(transaction, transaction_id, wait_ms=wait_ms, explain=explain, client=client)
        answer = self.coalescer.submit(row, wait_ms / 1000)
        if answer is None or answer[0] == _STATUS_EXPIRED:
            return Outcome("pending", transaction_id)
        return self._outcome(transaction_id, *answer)

    def accept(self, transaction: Transaction, *, transaction_id: str, explain: bool, client: str = "") -> Outcome:
        """See `ScoringGateway.accept`."""
        self._pressure.check_journal()
        self._pressure.check_inbox()
        row = self._row(transaction, transaction_id, wait_ms=0, explain=explain, client=client)
        status, *decision = self._call(lambda: self._accept_row(row))
        if status in (b"A", b"P"):
            return Outcome("pending", transaction_id)
        if status == b"L":
            return Outcome("dead_lettered", transaction_id)
        return self._outcome(transaction_id, status.decode(), decision[0] if decision else b"null")

    def decide_by_rules(
        self,
        transaction: Transaction,
        *,
        transaction_id: str,
        explain: bool,  # noqa: ARG002
        client: str = "",
    ) -> Outcome:
        """See `ScoringGateway.decide_by_rules`. The reasons say which rule decided, asked for or not."""
        received_ms = self._clock.now_ms()
        decision, record = self._rules.decide(transaction, transaction_id, received_ms=received_ms, client=client)
        self._pressure.check_journal()
        status, stored = self._call(lambda: self._commit_rules(transaction, decision, record))
        return self._outcome(transaction_id, status, stored)

    def find(self, transaction_id: str) -> Outcome:
        """See `ScoringGateway.find`."""
        stored, (accepted, dead), was_seen = self._call(lambda: self._look_up(transaction_id))
        if stored is not None:
            decision = self._call(lambda: decision_of(self._client, stored))
            return Outcome("decided", transaction_id, decision or self._recorded(transaction_id))
        if not dead and (accepted or was_seen):
            return Outcome("pending", transaction_id)
        # A dead letter may have been decided since, by a synchronous request with its id.
        if recorded := self._lookup.decision_json(transaction_id):
            return Outcome("decided", transaction_id, recorded)
        return Outcome("dead_lettered" if dead else "unknown", transaction_id)

    def record_label(self, label: Label) -> LabelOutcome:
        """See `ScoringGateway.record_label`."""
        self._pressure.check_inbox()
        target = self._label_target(label)
        decision_id, transaction_id = target or (None, None)
        entry = label_entry(label, decision_id, transaction_id)
        [status, *_] = self._call(lambda: self._accept_label(entry))
        if status == _STATUS_CONFLICT.encode():
            raise LabelConflict(f"label_id {label.label_id!r} was sent before and said something else")
        return LabelOutcome("accepted", label.label_id, target is not None, transaction_id, decision_id)

    def record_labels(self, labels: Sequence[Label]) -> Sequence[bool]:
        """See `ScoringGateway.record_labels`."""
        self._pressure.check_inbox()
        return self._label_chunks.record(labels)

    def health(self, *, wait: bool = True) -> Health:
        """See `ScoringGateway.health`."""
        try:
            champion = self._call(lambda: read_champion(self._client))
            workers = self._call(lambda: worker_reports(self._client, self._settings.heartbeat_s))
            age_s = self._canary.age_s(self._clock) if wait else self._canary.known_age_s(self._clock)
        except BrokerUnavailable as error:
            return Health(is_ready=False, is_broker_up=False, detail=str(error))
        return Health(
            is_ready=age_s is not None,
            is_broker_up=True,
            model_version=champion.model_version if champion else None,
            champion=msgspec.to_builtins(champion) if champion else None,
            workers=workers,
            canary_age_s=age_s,
            detail="" if age_s is not None else "no scoring worker has answered the canary",
        )

    def reload(self, *, timeout_s: float) -> ReloadReport:
        """See `ScoringGateway.reload`."""
        return self._call(lambda: self._reload.run(timeout_s))

    @property
    def dead_letters(self) -> DeadLetterDesk:
        """See `ScoringGateway.dead_letters`."""
        return self._dead_letters

    def drift_stats(self) -> dict[str, float]:
        """See `ScoringGateway.drift_stats`."""
        return self._call(lambda: drift_stats(self._client))

    def queue_stats(self) -> dict[str, float]:
        """See `ScoringGateway.queue_stats`."""
        return self._call(lambda: queue_stats(self._client) | broker_stats(self._client)) | {
            "canary_latency_s": self._canary.latency_s,
            "clock_skew_s": self._clock.offset_ms / 1000,
            "coalescer_waiting": float(self.coalescer.queued),
            "batches_in_flight": float(self.coalescer.in_flight),
        }

    @property
    def replays(self) -> ReplayDesk:
        """See `ScoringGateway.replays`."""
        return self._replays

    @property
    def reviews(self) -> ReviewDesk:
        """See `ScoringGateway.reviews`."""
        return self._reviews

    def pulse(self, *, for_s: int) -> Sequence[pulse.Slot]:
        """See `ScoringGateway.pulse`."""
        # The slots of the last seconds are still being added to: web processes send once a second, the journal is
        # drained once a second.
        until_s = self._clock.now_ms() / 1000 - pulse.SETTLED_AFTER_S
        return self._call(lambda: pulse.read(self._client, since_s=until_s - for_s, until_s=until_s))

    def worker_beats(self) -> Sequence[WorkerBeat]:
        """See `ScoringGateway.worker_beats`."""
        return self._call(lambda: worker_beats(self._client, self._settings.heartbeat_s))

    def _look_around(self, client: redis.Redis) -> None:
        self._clock.measure(client)
        self._pressure.measure(client)
        for start_s, counts in self._requests.take().items():
            # From the middle of a slot, so that a small offset of the clocks does not move it into another one.
            pulse.add(client, start_s + pulse.SLOT_S / 2 + self._clock.offset_ms / 1000, counts)

    def _row(
        self, transaction: Transaction, transaction_id: str, *, wait_ms: int, explain: bool, client: str
    ) -> ScoreRow:
        now_ms = self._clock.now_ms()
        return ScoreRow(
            transaction_id,
            transaction.digest,
            now_ms + wait_ms if wait_ms else 0,
            now_ms,
            transaction.values,
            explain,
            is_own_id=transaction.transaction_id is None,
            request_id=current_request(),
            traceparent=current_traceparent(),
            client=client,
        )

    def _send(self, batch_id: int, rows: Sequence[ScoreRow]) -> None:
        traced = [row.traceparent for row in rows if row.traceparent]
        with linked_span("batch", links=traced) as traceparent:
            batch = ScoreBatch(self._reply_key, batch_id, self._schema.digest, list(rows), traceparent)
            message = self._score_message.render(_encode(batch).decode(), enqueued_ms=self._clock.now_ms())
            self._call(lambda: self._client.lpush(names.QUEUE_SCORE, message))

    def _accept_row(self, row: ScoreRow) -> Any:
        entry_id = names.transaction_entry(row.transaction_id)
        return self._accept(
            keys=[
                names.result_key(row.transaction_id),
                names.inbox_key(entry_id),
                names.INBOX_DUE,
                names.QUEUE_SCORE,
            ],
            args=[
                row.digest,
                entry_id,
                _encode(row),
                names.TASK_SCORE_ACCEPTED,
                self._accepted_message.render(entry_id),
                self._settings.inbox_overdue_s,
            ],
        )

    def _commit_rules(self, transaction: Transaction, decision: Decision, record: JournalRecord) -> Any:
        transaction_id, encoded = decision.transaction_id, _encode(decision)
        result, seen = names.result_key(transaction_id), names.seen_key(transaction_id)
        entry_id = names.transaction_entry(transaction_id)
        self._commit(
            keys=[
                *(names.JOURNAL, "", names.INBOX_DUE, names.SEQUENCE, names.DEAD_LETTERS),
                *(result, seen, names.inbox_key(entry_id)),
            ],
            args=[
                0,
                0,
                1,
                *("F", transaction.digest, encoded, _encode(record), b"", entry_id),
                result_lifetime_s(self._settings, is_own_id=transaction.transaction_id is None),
            ],
        )
        stored: Any = self._client.get(result) or b""
        if stored[:DIGEST_LENGTH].decode() != transaction.digest:
            return _STATUS_CONFLICT, b"null"
        kept = decision_of(self._client, stored)
        return _STATUS_NEW if kept == encoded else _STATUS_REPLAYED, kept

    def _accept_label(self, entry: LabelEntry) -> Any:
        entry_id = f"label:{entry.label_id}"
        return self._accept(
            keys=[
                names.label_marker_key(entry.label_id),
                names.inbox_key(entry_id),
                names.INBOX_DUE,
                names.QUEUE_BACKGROUND,
            ],
            args=[
                entry.content_digest(),
                entry_id,
                _encode(entry),
                names.TASK_RECORD_LABEL,
                self._label_message.render(entry_id),
                self._settings.inbox_overdue_s,
            ],
        )

    def _look_up(self, transaction_id: str) -> Any:
        pipe = self._client.pipeline(transaction=False)
        pipe.get(names.result_key(transaction_id))
        pipe.hmget(names.inbox_key(names.transaction_entry(transaction_id)), "accepted_s", "dead_ms")
        pipe.exists(names.seen_key(transaction_id))
        return pipe.execute()

    def _label_target(self, label: Label) -> tuple[str | None, str] | None:
        """`(decision_id, transaction_id)`; no decision id yet for what was accepted and is not decided.

        Raises UnknownId: there is none, or it is another tenant's.
        """
        if label.transaction_id is not None:
            outcome = self.find(label.transaction_id)
            if outcome.decision_json is not None:
                return msgspec.json.decode(outcome.decision_json, type=_Ids).pair
            if outcome.status == "pending" and label.digest is None:
                return None, label.transaction_id
        target = self._lookup.find_label_target(label) or self._call(lambda: find_undrained(self._client, label))
        if target is not None and not label.shares_tenant(target[1]):
            target = None
        if target is None and label.digest is None:
            wanted = label.decision_id or label.transaction_id
            raise UnknownId(f"no decision is known by the id {wanted!r}")
        return target

    def _outcome(self, transaction_id: str, status: str, decision: bytes) -> Outcome:
        if status == _STATUS_CONFLICT:
            raise TransactionConflict(f"transaction_id {transaction_id!r} was sent before with other content")
        if status == _STATUS_FAILED:
            raise TollgateError("The scoring worker could not score this transaction")
        if decision in _ONLY_IN_LEDGER:
            decision = self._recorded(transaction_id)
        return Outcome("decided", transaction_id, decision, replayed=status == _STATUS_REPLAYED)

    def _recorded(self, transaction_id: str) -> bytes:
        """The decision of which Redis keeps the digest alone. Raises LedgerUnavailable."""
        decision = self._lookup.decision_json(transaction_id)
        if decision is None:
            raise LedgerUnavailable(f"the ledger does not show the decision of {transaction_id!r}", retry_after_s=1)
        return decision

    def _call(self, command: Callable[[], T]) -> T:
        """Run one broker command under the breaker; its failure becomes BrokerUnavailable."""
        if not self._breaker.allows():
            raise broker_lost("the circuit is open")
        try:
            result = command()
        except redis.RedisError as error:
            self._breaker.failed()
            raise broker_lost(type(error).__name__) from error
        self._breaker.succeeded()
        return result


class _Ids(msgspec.Struct):
    decision_id: str
    transaction_id: str

    @property
    def pair(self) -> tuple[str, str]:
        return self.decision_id, self.transaction_id
