"""The gateway: the way from the web side to the queue. Implements `web.ports.gateway.ScoringGateway`.

Synchronous rows go through the coalescer and come back on this process's reply list (`web.replies`). Accepted work
(async rows, labels) goes through the inbox (`web.acceptance`): one script writes payload and message together. When
the broker is down every call raises BrokerUnavailable at once (fail closed: nothing is accepted that could be lost).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec
import redis

from config import names
from config.celery_app import make_celery
from config.contracts import ScoreBatch, ScoreRow
from config.errors import BrokerUnavailable
from config.log_context import current_request
from config.queue import pulse
from config.queue.clock import ServerClock
from config.queue.connections import make_redis
from config.queue.dead_letters import DeadLetters
from config.queue.messages import TaskMessage
from config.queue.precedence import PrecedenceMark
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
from web.acceptance import Acceptance
from web.batch_gateway import QueuedBatches
from web.breaker import Breaker
from web.canary import Canary
from web.coalescer import Coalescer, Observe, SizeCap
from web.dead_letters import QueueDeadLetters
from web.idempotency_store import RedisIdempotency
from web.outcomes import STATUS_EXPIRED, Outcomes
from web.ports.desks import DeadLetterDesk, ReplayDesk, ReviewDesk
from web.ports.gateway import Health, ReloadReport
from web.ports.labels import Label, LabelOutcome, LabelRefusal
from web.ports.lookup import DecisionLookup
from web.ports.transactions import Outcome, Transaction
from web.pressure import Pressure
from web.pulse import RequestPulse
from web.queued_labels import QueuedLabels
from web.reload import ReloadRequest
from web.replay_desk import QueuedReplays
from web.replies import ReplyThread
from web.review_desk import RedisReviews
from web.rules import RulesDecider
from web.rules_commit import RulesCommit

REPLY_SOCKET_TIMEOUT_S = 1.0
_encode = msgspec.json.Encoder().encode


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
        app = make_celery(settings, "web")
        self._score_message = TaskMessage(app, names.TASK_SCORE_BATCH, names.QUEUE_SCORE)
        self._client = make_redis(settings, timeout_s=settings.broker_timeout_s, connections=settings.web_threads + 2)
        self._breaker = Breaker(settings.breaker_reset_s)
        self._guard = self._breaker.run
        self._acceptance = Acceptance(
            settings, app, self._client, task=names.TASK_SCORE_ACCEPTED, queue=names.QUEUE_ACCEPTED
        )
        self._outcomes = Outcomes(settings, self._client, lookup, guard=self._guard)
        self._labels = QueuedLabels(settings, app, self._client, lookup, find=self._outcomes.find, guard=self._guard)
        self._requests = requests or RequestPulse()
        self._replays = QueuedReplays(app, self._client, self._guard)
        self._reviews = RedisReviews(self._client, self._guard)
        self._dead_letters = QueueDeadLetters(DeadLetters(self._client, app, settings), self._guard)
        self._rules = RulesDecider(schema, policy_in_force(settings, schema))
        self._rules_commit = RulesCommit(settings, self._client)
        self._reply_key = names.reply_key(f"{os.getpid()}-{uuid4().hex[:12]}")
        self._clock = ServerClock()
        self._pressure = Pressure(settings)
        self._precedence = PrecedenceMark()
        self.batches = QueuedBatches(settings, app, self._client, clock=self._clock, guard=self._guard)
        self.idempotency = RedisIdempotency(settings, self._client, guard=self._guard)
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
        if answer is None or answer[0] == STATUS_EXPIRED:
            return Outcome("pending", transaction_id)
        return self._outcomes.of_answer(transaction_id, *answer)

    def accept(self, transaction: Transaction, *, transaction_id: str, explain: bool, client: str = "") -> Outcome:
        """See `ScoringGateway.accept`."""
        self._pressure.check_journal()
        self._pressure.check_inbox()
        row = self._row(transaction, transaction_id, wait_ms=0, explain=explain, client=client)
        status, *decision = self._guard(lambda: self._accept_row(row))
        if status in (b"A", b"P"):
            return Outcome("pending", transaction_id)
        if status == b"L":
            return Outcome("dead_lettered", transaction_id)
        return self._outcomes.of_answer(transaction_id, status.decode(), decision[0] if decision else b"null")

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
        status, stored = self._guard(lambda: self._rules_commit.commit(transaction, decision, record))
        return self._outcomes.of_answer(transaction_id, status, stored)

    def find(self, transaction_id: str) -> Outcome:
        """See `ScoringGateway.find`."""
        return self._outcomes.find(transaction_id)

    def record_label(self, label: Label) -> LabelOutcome:
        """See `ScoringGateway.record_label`."""
        self._pressure.check_inbox()
        return self._labels.record(label)

    def record_labels(self, labels: Sequence[Label]) -> Sequence[LabelRefusal | None]:
        """See `ScoringGateway.record_labels`."""
        self._pressure.check_inbox()
        return self._labels.record_all(labels)

    def health(self, *, wait: bool = True) -> Health:
        """See `ScoringGateway.health`."""
        try:
            champion = self._guard(lambda: read_champion(self._client))
            workers = self._guard(lambda: worker_reports(self._client, self._settings.heartbeat_s))
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
        return self._guard(lambda: self._reload.run(timeout_s))

    @property
    def dead_letters(self) -> DeadLetterDesk:
        """See `ScoringGateway.dead_letters`."""
        return self._dead_letters

    def drift_stats(self) -> dict[str, float]:
        """See `ScoringGateway.drift_stats`."""
        return self._guard(lambda: drift_stats(self._client))

    def queue_stats(self) -> dict[str, float]:
        """See `ScoringGateway.queue_stats`."""
        return self._guard(lambda: queue_stats(self._client) | broker_stats(self._client)) | {
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
        return self._guard(lambda: pulse.read(self._client, since_s=until_s - for_s, until_s=until_s))

    def worker_beats(self) -> Sequence[WorkerBeat]:
        """See `ScoringGateway.worker_beats`."""
        return self._guard(lambda: worker_beats(self._client, self._settings.heartbeat_s))

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
            self._guard(lambda: self._push(message, is_marked=self._precedence.is_due(rows)))

    def _push(self, message: str, *, is_marked: bool) -> None:
        if not is_marked:
            self._client.lpush(names.QUEUE_SCORE, message)
            return
        with self._client.pipeline(transaction=False) as pipe:
            pipe.lpush(names.QUEUE_SCORE, message)
            self._precedence.add_to(pipe)
            pipe.execute()

    def _accept_row(self, row: ScoreRow) -> Any:
        return self._acceptance.accept(
            names.transaction_entry(row.transaction_id),
            _encode(row),
            digest=row.digest,
            result=names.result_key(row.transaction_id),
            seen=names.seen_key(row.transaction_id),
        )
