"""From observed rows to finished ones: features, probability, action, reasons. No Redis and no Celery here."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import structlog

from config.contracts import Action, Decision, JournalRecord, Reason, ShadowScore
from ml.decisions import Thresholds, Verdict, decide, explain
from ml.exploration import exploration_reason
from ml.policy import Policy, apply_lists
from workers.row_by_row import Stage, finish_observed, untimed
from workers.store import CANARY, NEW, Finished, Observed

if TYPE_CHECKING:
    from ml.bundle import Bundle
    from ml.features.compiled import Floats
    from ml.features.online import Assembled

log = structlog.get_logger(__name__)

_encode = msgspec.json.Encoder().encode
Derived = dict[str, float]


@dataclass(frozen=True, slots=True)
class Scored:
    """A batch with what one model says. `X`: (n, p) as that model was shown it; `probabilities`: one per row;
    `shadows`: what the other model says, where there is one.
    """

    items: Sequence[Observed]
    X: Floats
    derived: Sequence[Derived]
    probabilities: Sequence[float]
    shadows: Sequence[ShadowScore] | None = None


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
        self.thresholds = Thresholds(
            review=policy.review if policy.review is not None else bundle.thresholds.review,
            decline=policy.decline if policy.decline is not None else bundle.thresholds.decline,
        )

    def finish(self, observed: Sequence[Observed], *, stage: Stage = untimed) -> list[Finished]:
        """One `Finished` per row, in order. Rows that need no score pass through with what `observe` said."""
        return finish_observed(observed, self._score_together, stage)

    def assemble(self, items: Sequence[Observed]) -> Assembled:
        """The features of a batch."""
        return self.bundle.featurizer.assemble(
            [item.row.values for item in items],
            [item.logs for item in items],
            [item.event_at_s for item in items],
        )

    def decide(self, scored: Scored) -> list[Finished]:
        """Actions, reasons and records for what was scored, in order."""
        if not scored.items:
            return []
        reasons = self._reasons(scored.items, scored.X, scored.probabilities)
        return self._finished(scored, reasons)

    def _score_together(self, items: Sequence[Observed], stage: Stage) -> list[Finished]:
        with stage("features"):
            assembled = self.assemble(items)
        with stage("predict"):
            probabilities = self.bundle.score(assembled.X).tolist()
        with stage("decide"):
            return self.decide(Scored(items, assembled.X, assembled.derived, probabilities))

    def _reasons(self, items: Sequence[Observed], X: Any, probabilities: Sequence[float]) -> dict[int, list[Any]]:
        """Reasons by row number, for the rows that somebody will look at and those that asked. One call for all."""
        above = min(self._explain_above, self.thresholds.review)
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

    def _finished(self, scored: Scored, reasons: dict[int, list[Any]]) -> list[Finished]:
        packed = np.ascontiguousarray(scored.X, dtype="<f8").tobytes()
        width = 8 * scored.X.shape[1]
        scored_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        finished = []
        for number, (item, decision_id) in enumerate(zip(scored.items, _decision_ids(len(scored.items)), strict=True)):
            probability = scored.probabilities[number]
            ruling = self._ruling(item, probability)
            decision = self._decision(item, ruling, decision_id, probability, reasons.get(number, []), scored_at)
            encoded = _encode(decision)
            if item.status == CANARY:
                finished.append(Finished(item.row, CANARY, encoded))
                continue
            record = _encode(self._record(scored, number, ruling.propensity))
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
                    score=probability,
                )
            )
        return finished

    def _ruling(self, item: Observed, probability: float) -> _Ruling:
        """Lists win over the score; of what the score declines, some may be let through."""
        verdict = decide(probability, self.thresholds)
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

    def _record(self, scored: Scored, number: int, propensity: float) -> JournalRecord:
        schema, item = self.bundle.schema, scored.items[number]
        return JournalRecord(
            sequence=item.sequence,
            digest=item.row.digest,
            schema_digest=schema.digest,
            received_ms=item.row.received_ms,
            event_at_s=item.event_at_s,
            amount=self._amount(item),
            values=item.row.values,
            derived=scored.derived[number],
            model_digest=self.bundle.digest,
            client=item.row.client,
            propensity=propensity,
            traceparent=item.row.traceparent,
            shadow=scored.shadows[number] if scored.shadows else msgspec.UNSET,
        )


def _decision_ids(count: int) -> Iterator[str]:
    """`count` new ids: 48 bits of time in ms, then 80 random bits, in hex; they sort by time."""
    prefix = f"{time.time_ns() // 1_000_000:012x}"
    noise = os.urandom(10 * count).hex()
    for number in range(count):
        yield prefix + noise[20 * number : 20 * number + 20]
