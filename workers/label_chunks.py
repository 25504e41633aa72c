"""Labels that came in a file: a chunk of them is one inbox entry, recorded in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from celery import shared_task

from config import names
from config.contracts import LabelEntry
from config.queue.inbox import Claim
from config.queue.server_scripts import register
from ml.ledger import Ledger, StoredDecision
from workers.background import BackgroundRuntime
from workers.journal import BULK_DRAIN_FOR_S, DRAIN_FOR_S, journal_drain
from workers.label_patience import without_decision
from workers.labels import recording, settle_label_work, tell_conflict

_entries = msgspec.json.Decoder(list[LabelEntry])


@shared_task(name=names.TASK_RECORD_LABELS, ignore_result=True, acks_late=True, soft_time_limit=30, time_limit=60)
def record_labels(entry_id: str) -> None:
    """Record one accepted chunk of labels, each once. Nothing happens when the chunk is recorded already."""
    settle_label_work(
        entry_id,
        lambda runtime, claim: _record(runtime, _entries.decode(claim.payload), claim),
        put_off="labels_deferred",
    )


def _record(runtime: BackgroundRuntime, labels: Sequence[LabelEntry], claim: Claim) -> None:
    """Record those whose decision is there; the entry keeps the rest, or goes.

    The entry comes after the labels were recorded and in another round trip: whatever happens before, the chunk is
    repeated, and each of its labels is recorded once. Raises LabelTooEarly, DecisionNeverCame about the rest.
    """
    about = _decisions(runtime, labels)
    found = [label for label in labels if _decision_id(label) in about]
    _record_found(runtime, found, about)
    rest = [label for label in labels if _decision_id(label) not in about]
    if not rest:
        _finish(runtime, claim.entry_id)
        return
    if found:
        runtime.inbox.keep(claim, msgspec.json.encode(rest))
    raise without_decision(runtime, rest)


def _record_found(
    runtime: BackgroundRuntime, labels: Sequence[LabelEntry], about: Mapping[str, StoredDecision]
) -> None:
    """One round trip for all of them. Raises RedisError: some may not be recorded."""
    said = runtime.ledger.label_digests([label.label_id for label in labels])
    script = register(runtime.client, "label")
    with runtime.client.pipeline(transaction=False) as pipe:
        for label in labels:
            keys, args = recording(runtime, label, about[_decision_id(label)], said=said, entry_id="")
            script(keys=keys, args=args, client=pipe)
        for label, recorded in zip(labels, pipe.execute(), strict=True):
            tell_conflict(label, recorded)


def _finish(runtime: BackgroundRuntime, entry_id: str) -> None:
    with runtime.client.pipeline(transaction=True) as pipe:
        pipe.delete(names.inbox_key(entry_id))
        pipe.zrem(names.INBOX_DUE, entry_id)
        pipe.zrem(names.DEAD_LETTERS, entry_id)
        pipe.execute()


def _decisions(runtime: BackgroundRuntime, labels: Sequence[LabelEntry]) -> dict[str, StoredDecision]:
    """The labelled decisions by the id that the label gives, as far as the ledger has them now."""
    found = _find(runtime.ledger, labels)
    if any(_decision_id(label) not in found for label in labels):
        journal_drain(runtime).run(DRAIN_FOR_S)
        journal_drain(runtime, stream=names.JOURNAL_BULK).run(BULK_DRAIN_FOR_S)
        found = _find(runtime.ledger, labels)
    return found


def _find(ledger: Ledger, labels: Sequence[LabelEntry]) -> dict[str, StoredDecision]:
    """By the decisions' ids, else by the transactions', as of a label that is sent alone (`workers.labels`)."""
    found = ledger.decisions_by_id(sorted({_decision_id(label) for label in labels}))
    others = [label for label in labels if _decision_id(label) not in found]
    if not others:
        return found
    transaction_ids = sorted({label.transaction_id or "" for label in others})
    kept = {of: decision_id for decision_id, of in ledger.identify(transaction_ids=transaction_ids, decision_ids=[])}
    stored = ledger.decisions_by_id(sorted(kept.values()))
    instead = [(_decision_id(label), kept.get(label.transaction_id or "")) for label in others]
    return found | {asked: stored[decision_id] for asked, decision_id in instead if decision_id in stored}


def _decision_id(label: LabelEntry) -> str:
    """The decision's id: labels of a file always have one."""
    return label.decision_id or ""
