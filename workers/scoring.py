"""The scoring tasks: decode, observe, score, commit. One Celery message is a whole batch."""

from __future__ import annotations

import msgspec
from celery import shared_task

from config import names
from config.contracts import ScoreBatch, ScoreRow
from config.tracing import linked_span
from workers.decision_log import log_decisions
from workers.runtime import scoring_runtime
from workers.store import CONFLICT, FAILED, Finished

NOT_SCORED = "the model could not score it: the scoring worker's log has row_failed with this id"
OTHER_CONTENT = "the same transaction_id was decided first with other content"

_batch_decoder = msgspec.json.Decoder(ScoreBatch)
_row_decoder = msgspec.json.Decoder(ScoreRow)


@shared_task(name=names.TASK_SCORE_BATCH, ignore_result=True, acks_late=True)
def score_batch(payload: str) -> None:
    """Score what requests are waiting for and push one reply. `payload`: a `ScoreBatch` as JSON."""
    runtime = scoring_runtime()
    with runtime.busy(), runtime.stage("decode"):
        batch = _batch_decoder.decode(payload)
    finish_rows(batch.rows, reply_to=batch.reply_to, batch_id=batch.batch_id, traceparent=batch.traceparent)


@shared_task(name=names.TASK_SCORE_ACCEPTED, ignore_result=True, acks_late=True)
def score_accepted(entry_id: str) -> None:
    """Score one accepted transaction out of the inbox. Nothing happens when it is finished already."""
    inbox = scoring_runtime().inbox
    claim = inbox.claim(entry_id)
    if claim is None:
        return
    with inbox.failures_recorded(claim):
        finished = finish_rows([_row_decoder.decode(claim.payload)], is_from_inbox=True)
    if finished[0].status == FAILED:
        inbox.fail(claim, NOT_SCORED)
    elif finished[0].status == CONFLICT:
        inbox.give_up(claim, OTHER_CONTENT)


def finish_rows(
    rows: list[ScoreRow],
    *,
    reply_to: str = "",
    batch_id: int = 0,
    is_from_inbox: bool = False,
    traceparent: str = "",
) -> list[Finished]:
    """Observe, score and commit `rows`: two round trips to Redis. Safe to repeat: the first decision stays.

    Returns what each row came to, in order.
    """
    runtime = scoring_runtime()
    links = [row.traceparent for row in rows if row.traceparent]
    with runtime.busy(), linked_span("score", parent=traceparent, links=links):
        scorer = runtime.holder.scorer
        with runtime.stage("observe"):
            observed = runtime.store.observe(rows, scorer.spec)
        finished = scorer.finish(observed, stage=runtime.stage)
        if is_from_inbox:
            finished = [msgspec.structs.replace(item, is_from_inbox=True) for item in finished]
        with runtime.stage("commit"):
            runtime.store.commit(finished, reply_to=reply_to, batch_id=batch_id)
        runtime.count(observed, finished)
    log_decisions(finished)
    return finished
