"""Labels on their way from the inbox to the ledger, and into the history of the entities they are about.

A label log keeps, per entity, when each labelled transaction happened, when its label became known and what it was.
Of several labels of one transaction the latest `known_at` wins: a label that changes the verdict is written as two
records, one that takes the old one back (weight -1) and the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from celery import shared_task

from config import names
from config.contracts import LabelEntry
from config.errors import LedgerUnavailable
from config.queue.inbox import Claim
from config.queue.server_scripts import register
from config.tenants import prefix_of
from config.tracing import linked_span
from ml.features.history_log import pack_verdict
from ml.ledger import Ledger, StoredDecision
from workers.background import BackgroundRuntime, background_runtime
from workers.journal import DRAIN_FOR_S, journal_drain
from workers.label_patience import DecisionNeverCame, LabelTooEarly, without_decision
from workers.store import log_lifetime_s

MARKER_LIFETIME_S = 7 * 86_400
# Longer than the task's hard time limit: an attempt that still runs is never handed out again.
LEASE_S = 75
CONFLICT = -1
"""What the script `label` answers when another label has the id."""

log = structlog.get_logger(__name__)

_entry = msgspec.json.Decoder(LabelEntry)


@shared_task(name=names.TASK_RECORD_LABEL, ignore_result=True, acks_late=True, soft_time_limit=30, time_limit=60)
def record_label(entry_id: str) -> None:
    """Record one accepted label. Nothing happens when it is recorded already."""
    settle_label_work(
        entry_id,
        lambda runtime, claim: _record(runtime, _entry.decode(claim.payload), entry_id),
        put_off="label_deferred",
    )


def settle_label_work(entry_id: str, record: Callable[[BackgroundRuntime, Claim], None], *, put_off: str) -> None:
    """Claim an inbox entry and `record` its payload; nothing when it is recorded already.

    What waits for the ledger is put off and logged as the event `put_off`, however long that takes: it uses up no
    attempt. What waits for a decision that is not on its way any more does.
    """
    runtime = background_runtime()
    claim = runtime.inbox.claim(entry_id, lease_s=LEASE_S)
    if claim is None:
        return
    with runtime.inbox.failures_recorded(claim):
        try:
            record(runtime, claim)
        except (LabelTooEarly, LedgerUnavailable) as error:
            runtime.inbox.defer(claim, str(error))
            log.info(put_off, entry=entry_id, deferrals=claim.deferrals + 1, reason=str(error))
        except DecisionNeverCame as error:
            runtime.inbox.fail(claim, str(error))


def _record(runtime: BackgroundRuntime, label: LabelEntry, entry_id: str) -> None:
    with linked_span("label", parent=label.traceparent):
        about = _about(runtime, label)
        said = runtime.ledger.label_digests([label.label_id])
        keys, args = recording(runtime, label, about, said=said, entry_id=entry_id)
        tell_conflict(label, register(runtime.client, "label")(keys=keys, args=args))


def tell_conflict(label: LabelEntry, recorded: int) -> None:
    """Log a label that was accepted and is not recorded, because another with its id was recorded first.

    The web side refuses such a label where it can know (`web.label_chunks`); while both wait it cannot.
    """
    if recorded == CONFLICT:
        log.warning("label_conflict", label_id=label.label_id, transaction_id=label.transaction_id)


def recording(
    runtime: BackgroundRuntime,
    label: LabelEntry,
    about: StoredDecision | None,
    *,
    said: Mapping[str, str],
    entry_id: str,
) -> tuple[list[str], list[Any]]:
    """Keys and arguments of the script `label`: what is written where.

    `said`: what the ledger's labels say, by id. `entry_id`: the inbox entry that this label finishes; "" finishes none.
    """
    if about is not None:
        label = msgspec.structs.replace(label, decision_id=about.decision.decision_id)
    logs = _label_logs(runtime, about) if about else []
    return (
        [
            names.SEQUENCE,
            names.JOURNAL,
            names.label_marker_key(label.label_id),
            names.inbox_key(entry_id),
            names.INBOX_DUE,
            names.DEAD_LETTERS,
            names.verdict_key(label.decision_id or label.label_id),
            *logs,
        ],
        [
            msgspec.json.encode(label),
            entry_id,
            MARKER_LIFETIME_S,
            runtime.settings.history_events,
            log_lifetime_s(runtime.schema),
            label.content_digest(),
            label.known_at_s,
            int(label.is_fraud),
            *_counting(about),
            *_records(label, about),
            said.get(label.label_id, ""),
        ],
    )


def _about(runtime: BackgroundRuntime, label: LabelEntry) -> StoredDecision | None:
    """The labelled decision, or None for a label that stands alone.

    Raises LabelTooEarly while it is on its way, DecisionNeverCame when it is not.
    """
    if label.transaction_id is None:
        return None
    stored = _find(runtime.ledger, label)
    if stored is None:
        for stream in (names.JOURNAL, names.JOURNAL_BULK):
            journal_drain(runtime, stream=stream).run(DRAIN_FOR_S)
        stored = _find(runtime.ledger, label)
    if stored is None:
        raise without_decision(runtime, [label])
    return stored


def _find(ledger: Ledger, label: LabelEntry) -> StoredDecision | None:
    """By the decision's id, else by the transaction's.

    A transaction that was sent again after its id was forgotten was decided twice. The ledger keeps the first decision
    and never has the second.
    """
    if label.decision_id is not None and (stored := ledger.decision_by_id(label.decision_id)):
        return stored
    return ledger.decision_by_transaction(label.transaction_id or "")


def _counting(about: StoredDecision | None) -> tuple[float | str, int | str]:
    """(known_at, what it says) of the label that counts in the ledger; the script knows one that is on its way."""
    if about is None or about.label is None:
        return "", ""
    return about.label.known_at.timestamp(), int(about.label.is_fraud)


def _records(label: LabelEntry, about: StoredDecision | None) -> list[bytes]:
    """What takes the opposite verdict back, and what adds this one: the script appends both, the second, or none."""
    event_at_s = about.record.event_at_s if about else 0.0
    return pack_verdict(event_at_s, label.known_at_s, label.is_fraud, (label.known_at_s, not label.is_fraud))


def _label_logs(runtime: BackgroundRuntime, about: StoredDecision) -> list[str]:
    """The label logs that this decision's labels go to: of its entities, under today's schema."""
    if about.record.schema_digest != runtime.schema.digest:
        return []
    named = [(entity, entity.key(about.record.values)) for entity in runtime.spec.entities if entity.uses_labels]
    tenant = prefix_of(about.decision.transaction_id)
    return [names.labels_key(entity.name, tenant + value) for entity, value in named if value is not None]
