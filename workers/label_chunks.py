"""Labels that came in a file: a chunk of them is one inbox entry, recorded in one go."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog
from celery import shared_task

from config import names
from config.contracts import LabelEntry
from config.queue.server_scripts import register
from ml.ledger import StoredDecision
from workers.background import BackgroundRuntime
from workers.journal import BULK_DRAIN_FOR_S, DRAIN_FOR_S, journal_drain
from workers.labels import LabelTooEarly, recording, settle_label_work, tell_conflict

log = structlog.get_logger(__name__)

_entries = msgspec.json.Decoder(list[LabelEntry])


@shared_task(name=names.TASK_RECORD_LABELS, ignore_result=True, acks_late=True, soft_time_limit=30, time_limit=60)
def record_labels(entry_id: str) -> None:
    """Record one accepted chunk of labels, each once. Nothing happens when the chunk is recorded already."""
    settle_label_work(
        entry_id,
        lambda runtime, payload: _record(runtime, _entries.decode(payload), entry_id),
        put_off="labels_deferred",
    )


def _record(runtime: BackgroundRuntime, labels: Sequence[LabelEntry], entry_id: str) -> None:
    """One round trip for all of them; the entry goes last, so that a death in between repeats the chunk."""
    about = _decisions(runtime, labels)
    script = register(runtime.client, "label")
    with runtime.client.pipeline(transaction=False) as pipe:
        for label in labels:
            keys, args = recording(runtime, label, about[label.decision_id or ""], entry_id="")
            script(keys=keys, args=args, client=pipe)
        pipe.delete(names.inbox_key(entry_id))
        pipe.zrem(names.INBOX_DUE, entry_id)
        pipe.zrem(names.DEAD_LETTERS, entry_id)
        for label, recorded in zip(labels, pipe.execute(), strict=False):  # the last three finish the entry
            tell_conflict(label, recorded)


def _decisions(runtime: BackgroundRuntime, labels: Sequence[LabelEntry]) -> dict[str, StoredDecision]:
    """The labelled decisions by id. Raises LabelTooEarly while one is on its way to the ledger."""
    wanted = sorted({label.decision_id for label in labels if label.decision_id is not None})
    found = runtime.ledger.decisions_by_id(wanted)
    if len(found) < len(wanted):
        journal_drain(runtime).run(DRAIN_FOR_S)
        journal_drain(runtime, stream=names.JOURNAL_BULK).run(BULK_DRAIN_FOR_S)
        found = runtime.ledger.decisions_by_id(wanted)
    if len(found) < len(wanted):
        raise LabelTooEarly(f"{len(wanted) - len(found)} of {len(wanted)} decisions are not in the ledger yet")
    return found
