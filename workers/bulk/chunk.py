"""One chunk of a batch: its rows scored together, its decisions stored, what became of each row.

A row that raises is tried alone; one that kills its worker is found by `workers.bulk.suspects` and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from config.contracts import ScoreRow
from config.queue.batches import BatchRecord
from config.settings import Settings
from config.tenants import kept_digest, prefix_of
from ml.ledger import Ledger
from workers.bulk.burial import bury
from workers.bulk.rows import Refusal, Row
from workers.bulk.store import BulkStore, Stored
from workers.pair import PairScorer
from workers.runtime import ScoringRuntime
from workers.scorer import BatchScorer
from workers.store import CONFLICT, FAILED, NEW, REPLAYED, Finished, Observed

ALREADY_SENT = Refusal("transaction_conflict", "this transaction_id was sent before with other content")
CANNOT_BE_SCORED = Refusal("scoring_failed", "this row could not be scored; it is kept among the dead letters")


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one row: its decision as JSON, or why there is none.

    `is_replayed`: the decision was made for an earlier submission.
    """

    row: Row
    decision: bytes = b""
    is_replayed: bool = False
    refusal: Refusal | None = None


class ChunkScorer:
    """Scores rows of a batch on this worker's model. Safe to repeat: the first decision of each row stays."""

    def __init__(self, scoring: ScoringRuntime, store: BulkStore, ledger: Ledger, settings: Settings) -> None:
        self._scoring = scoring
        self._store = store
        self._ledger = ledger
        self._settings = settings

    def score(self, batch: BatchRecord, rows: Sequence[Row], *, is_retry: bool) -> list[Outcome]:
        """One outcome per row, in order. Raises RedisError, LedgerUnavailable."""
        to_score = [score_row(batch, row) for row in rows if row.refusal is None]
        stored = self._retried(to_score) if is_retry else self._stored(to_score)
        decisions = self._decisions(to_score, stored)
        answers = iter(zip(stored, decisions, strict=True))
        outcomes = [
            _outcome(row, *next(answers)) if row.refusal is None else Outcome(row, refusal=row.refusal) for row in rows
        ]
        return [_as_first_answered(one, batch) for one in outcomes] if is_retry else outcomes

    def bury(self, batch: BatchRecord, row: Row) -> Outcome:
        """Give up a row that killed the workers that tried it."""
        if row.transaction is not None:
            self._bury(score_row(batch, row), "the worker that scored it died, again and again")
        return Outcome(row, refusal=row.refusal or CANNOT_BE_SCORED)

    def _retried(self, rows: Sequence[ScoreRow]) -> list[Stored]:
        """As `_stored`, but the ledger is asked first: Redis may have forgotten the rows of a chunk replayed late."""
        known = self._ledger.decisions_json([row.transaction_id for row in rows])
        fresh = iter(self._stored([row for row in rows if row.transaction_id not in known]))
        return [
            Stored(REPLAYED, known[row.transaction_id]) if row.transaction_id in known else next(fresh) for row in rows
        ]

    def _stored(self, rows: Sequence[ScoreRow]) -> list[Stored]:
        if not rows:
            return []
        scorer = self._scoring.holder.scorer
        with self._scoring.stage("observe"):
            observed = self._store.observe(rows, scorer.spec)
        finished = [
            self._tried_alone(scorer, item) if result.status == FAILED else result
            for item, result in zip(observed, scorer.finish(observed, stage=self._scoring.stage), strict=True)
        ]
        new = [item for item in finished if item.status == NEW]
        with self._scoring.stage("commit"):
            committed = self._store.commit(new)
        self._scoring.count(observed, finished)
        fresh = iter(committed)
        return [next(fresh) if f.status == NEW else Stored(f.status, f.decision) for f in finished]

    def _tried_alone(self, scorer: BatchScorer | PairScorer, item: Observed) -> Finished:
        for _ in range(1, self._settings.inbox_attempts):
            [result] = scorer.finish([item])
            if result.status != FAILED:
                return result
        self._bury(item.row, "the model raised an error")
        return Finished(item.row, FAILED)

    def _bury(self, row: ScoreRow, failure: str) -> None:
        bury(self._scoring.client, row, failure, attempts=self._settings.inbox_attempts)

    def _decisions(self, rows: Sequence[ScoreRow], stored: Sequence[Stored]) -> list[bytes]:
        """The decision of each row, those that only the ledger still has in full included; empty where none."""
        stubs = [
            row.transaction_id
            for row, item in zip(rows, stored, strict=True)
            if item.status == REPLAYED and not item.decision
        ]
        in_ledger = self._ledger.decisions_json(stubs) if stubs else {}
        return [
            in_ledger[row.transaction_id] if item.status == REPLAYED and not item.decision else item.decision
            for row, item in zip(rows, stored, strict=True)
        ]


def score_row(batch: BatchRecord, row: Row) -> ScoreRow:
    """The row as scoring workers take it, with the batch's tenant in its id.

    It never expires; an id made up stays the same when it is read again.
    """
    transaction = row.transaction
    if transaction is None:
        raise ValueError(f"row {row.number} was refused")
    tenant = prefix_of(batch.client)
    return ScoreRow(
        tenant + (transaction.transaction_id or f"{batch.batch_id}-{row.number}"),
        kept_digest(tenant, transaction.digest),
        0,
        batch.created_ms,
        transaction.values,
        is_own_id=transaction.transaction_id is None,
        traceparent=batch.traceparent,
        client=batch.sent_by,
    )


def _outcome(row: Row, stored: Stored, decision: bytes) -> Outcome:
    if stored.status in (NEW, REPLAYED):
        return Outcome(row, decision, stored.status == REPLAYED)
    return Outcome(row, refusal=ALREADY_SENT if stored.status == CONFLICT else CANNOT_BE_SCORED)


def _as_first_answered(outcome: Outcome, batch: BatchRecord) -> Outcome:
    """A chunk that is done again finds its own decisions: those are not replays of an earlier submission."""
    if not outcome.is_replayed or _decided_ms(outcome.decision) < batch.created_ms:
        return outcome
    return Outcome(outcome.row, outcome.decision)


def _decided_ms(decision: bytes) -> int:
    scored_at = msgspec.json.decode(decision, type=_ScoredAt).scored_at
    return int(scored_at.timestamp() * 1000)


class _ScoredAt(msgspec.Struct):
    scored_at: datetime
