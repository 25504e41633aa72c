"""From observed rows to finished ones: features, probability, action, reasons. No Redis and no Celery here.

The whole batch goes through the model at once. If that fails, each row is tried alone, so that one bad row never
fails its neighbours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import structlog

from config.contracts import Action, Decision, JournalRecord, Reason
from ml.decisions import Thresholds, Verdict, decide, explain
from ml.exploration import exploration_reason
from ml.policy import Policy, apply_lists
from workers.store import CANARY, FAILED, NEW, TO_SCORE, Finished, Observed

if TYPE_CHECKING:
    from ml.bundle import Bundle

log = structlog.get_logger(__name__)

_encode = msgspec.json.Encoder().encode
Stage = Callable[[str], AbstractContextManager[object]]


def untimed(_stage: str) -> AbstractContextManager[object]:
    """The stage timer that measures nothing."""
    return nullcontext()


class _Ruling(msgspec.Struct, frozen=True, gc=False):
    """What is done about one payment: the score's verdict, and the action, which a list or exploration may change."""

    verdict: Verdict
    action: Action
    reason: Reason | None = None
    propensity: float = 1.0


class BatchScorer:
    """One bundle, one policy, ready to score. Deterministic but for decision ids and times."""

    def __init__(self, bundle: Bundle, policy: Policy, *, explain_above: float, reasons_max: int) -> None:
        self.bundle = bundle
        self.spec = bundle.spec
        self._policy = policy
        self._explain_above = explain_above
        self._reasons_max = reasons_max
        names = [field.name for field in bundle.schema.fields]
        amount = bundle.schema.roles.amount
        self._amount_at = None if amount is None else names.index(amount)
        self._thresholds = Thresholds(
            review=policy.review if policy.review is not None else bundle.thresholds.review,
            decline=policy.decline if policy.decline is not None else bundle.thresholds.decline,
        )

    def finish(self, observed: Sequence[Observed], *, stage: Stage = untimed) -> list[Finished]:
        """One `Finished` per row, in order. Rows that need no score pass through with what `observe` said."""
        to_score = [item for item in observed if item.status in (TO_SCORE, CANARY)]
        scored = iter(self._score(to_score, stage))
        return [
            next(scored) if item.status in (TO_SCORE, CANARY) else Finished(item.row, item.status, item.decision)
            for item in observed
        ]

    def _score(self, items: Sequence[Observed], stage: Stage) -> Iterator[Finished]:
        if not items:
            return
        try:
            yield from self._score_together(items, stage)
        except Exception:
            if len(items) == 1:
                row = items[0].row
                log.exception("row_failed", transaction_id=row.transaction_id, request_id=row.request_id)
                yield Finished(items[0].row, FAILED, b"null")
                return
            log.warning("batch_failed_trying_rows_alone", rows=len(items))
            for item in items:
                yield from self._score([item], stage)

    def _score_together(self, items: Sequence[Observed], stage: Stage) -> list[Finished]:
        with stage("features"):
            assembled = self.bundle.featurizer.assemble(
                [item.row.values for item in items],
                [item.logs for item in items],
                [item.event_at_s for item in items],
            )
        with stage("predict"):
            probabilities = self.bundle.score(assembled.X).tolist()
        with stage("decide"):
            reasons = self._reasons(items, assembled.X, probabilities)
            return self._finished(items, assembled, probabilities, reasons)

    def _reasons(self, items: Sequence[Observed], X: Any, probabilities: Sequence[float]) -> dict[int, list[Any]]:
        """Reasons by row number, for the rows that somebody will look at and those that asked. One call for all."""
        above = min(self._explain_above, self._thresholds.review)
        wanted = [
            number
            for number, (item, probability) in enumerate(zip(items, probabilities, strict=True))
            if item.row.explain or probability >= above
        ]
        if not wanted:
            return {}
        contributions = self.bundle.contributions(X[wanted])
        return {
            number: explain(self.bundle, X[number], contribution, self._reasons_max)
            for number, contribution in zip(wanted, contributions, strict=True)
        }

    def _finished(
        self, items: Sequence[Observed], assembled: Any, probabilities: Sequence[float], reasons: dict[int, list[Any]]
    ) -> list[Finished]:
        packed = np.ascontiguousarray(assembled.X, dtype="<f8").tobytes()
        width = 8 * assembled.X.shape[1]
        scored_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        finished = []
        for number, (item, decision_id) in enumerate(zip(items, _decision_ids(len(items)), strict=True)):
            ruling = self._ruling(item, probabilities[number])
            decision = self._decision(
                item, ruling, decision_id, probabilities[number], reasons.get(number, []), scored_at
            )
            encoded = _encode(decision)
            if item.status == CANARY:
                finished.append(Finished(item.row, CANARY, encoded))
                continue
            record = _encode(self._record(item, assembled.derived[number], ruling.propensity))
            features = packed[number * width : (number + 1) * width]
            finished.append(
                Finished(
                    item.row,
                    NEW,
                    encoded,
                    record,
                    features,
                    decision.action,
                    has_seen=item.has_seen,
                    score=probabilities[number],
                )
            )
        return finished

    def _ruling(self, item: Observed, probability: float) -> _Ruling:
        """Lists win over the score; of what the score declines, some may be let through."""
        verdict = decide(probability, self._thresholds)
        listed = apply_lists(item.row.values, self._policy)
        if listed is not None:
            return _Ruling(verdict, listed.action, listed.reason)
        exploration = self._policy.exploration
        if item.status == CANARY or not exploration.covers(verdict.action, self._amount(item)):
            return _Ruling(verdict, verdict.action)
        if not exploration.lets_through(item.row.transaction_id):
            return _Ruling(verdict, verdict.action, propensity=exploration.propensity(is_let_through=False))
        log.info("decline_let_through", transaction_id=item.row.transaction_id, share=exploration.share)
        reason = exploration_reason(exploration.share)
        return _Ruling(verdict, "approve", reason, exploration.propensity(is_let_through=True))

    def _amount(self, item: Observed) -> float | None:
        return None if self._amount_at is None else item.row.values[self._amount_at]

    def _decision(
        self,
        item: Observed,
        ruling: _Ruling,
        decision_id: str,
        probability: float,
        reasons: list[Any],
        scored_at: str,
    ) -> Decision:
        return Decision(
            decision_id=decision_id,
            transaction_id=item.row.transaction_id,
            fraud_probability=probability,
            is_fraud=ruling.action == "decline",
            risk_score=ruling.verdict.risk_score,
            risk_level=ruling.verdict.risk_level,
            action=ruling.action,
            reasons=[ruling.reason, *reasons] if ruling.reason else reasons,
            model_version=self.bundle.model_version,
            scored_at=scored_at,
        )

    def _record(self, item: Observed, derived: dict[str, Any], propensity: float) -> JournalRecord:
        schema = self.bundle.schema
        return JournalRecord(
            sequence=item.sequence,
            digest=item.row.digest,
            schema_digest=schema.digest,
            received_ms=item.row.received_ms,
            event_at_s=item.event_at_s,
            amount=self._amount(item),
            values=item.row.values,
            derived=derived,
            model_digest=self.bundle.digest,
            propensity=propensity,
            traceparent=item.row.traceparent,
        )


def _decision_ids(count: int) -> Iterator[str]:
    """`count` new ids: 48 bits of time in ms, then 80 random bits, in hex; they sort by time."""
    prefix = f"{time.time_ns() // 1_000_000:012x}"
    noise = os.urandom(10 * count).hex()
    for number in range(count):
        yield prefix + noise[20 * number : 20 * number + 20]
