"""Labels on their way from the inbox to the ledger, and into the history of the entities they are about.

A label log keeps, per entity, when each labelled transaction happened, when its label became known and what it was.
Of several labels of one transaction the latest `known_at` wins: a label that changes the verdict is written as two
records, one that takes the old one back (weight -1) and the new one.
"""

from __future__ import annotations

from typing import Any

import msgspec
from celery import shared_task

from config import names
from config.contracts import LabelEntry
from config.queue.server_scripts import register
from ml.features.history_log import pack_verdict
from ml.features.spec import FeatureSpec
from ml.ledger import StoredDecision
from workers.background import BackgroundRuntime, background_runtime
from workers.journal import DRAIN_FOR_S, journal_drain
from workers.store import log_lifetime_s

MARKER_LIFETIME_S = 7 * 86_400

_entry = msgspec.json.Decoder(LabelEntry)


class LabelTooEarly(Exception):
    """The decision of this label is not in the ledger yet; the reaper brings the label back."""


@shared_task(name=names.TASK_RECORD_LABEL, ignore_result=True, acks_late=True, soft_time_limit=30, time_limit=60)
def record_label(entry_id: str) -> None:
    """Record one accepted label. Nothing happens when it is recorded already."""
    runtime = background_runtime()
    payload: Any = runtime.client.hget(names.inbox_key(entry_id), "payload")
    if payload is None:
        return
    label = _entry.decode(payload)
    _record(runtime, label, entry_id, payload)


def _record(runtime: BackgroundRuntime, label: LabelEntry, entry_id: str, payload: bytes) -> None:
    about = _about(runtime, label)
    logs, records = _log_records(runtime, label, about) if about else ([], [])
    register(runtime.client, "label")(
        keys=[
            names.SEQUENCE,
            names.JOURNAL,
            names.label_marker_key(label.label_id),
            names.inbox_key(entry_id),
            names.INBOX_DUE,
            *logs,
        ],
        args=[
            payload,
            entry_id,
            MARKER_LIFETIME_S,
            runtime.settings.history_events,
            log_lifetime_s(runtime.schema),
            len(records),
            *records,
        ],
    )


def _about(runtime: BackgroundRuntime, label: LabelEntry) -> StoredDecision | None:
    """The labelled decision, or None for a label that stands alone. Raises LabelTooEarly while it is on its way."""
    if label.decision_id is None:
        return None
    stored = runtime.ledger.decision_by_id(label.decision_id)
    if stored is None:
        journal_drain(runtime).run(DRAIN_FOR_S)
        stored = runtime.ledger.decision_by_id(label.decision_id)
    if stored is None:
        raise LabelTooEarly(f"decision {label.decision_id} is not in the ledger yet")
    return stored


def _log_records(runtime: BackgroundRuntime, label: LabelEntry, about: StoredDecision) -> tuple[list[str], list[bytes]]:
    """The label logs to append to, and the records: none when an older or equal verdict changes nothing."""
    if about.record.schema_digest != runtime.schema.digest:
        return [], []
    earlier = None if about.label is None else (about.label.known_at.timestamp(), about.label.is_fraud)
    records = pack_verdict(about.record.event_at_s, label.known_at_s, label.is_fraud, earlier)
    if not records:
        return [], []
    return _label_logs(runtime.spec, about.record.values), records


def _label_logs(spec: FeatureSpec, values: list[Any]) -> list[str]:
    named = [(entity, entity.key(values)) for entity in spec.entities if entity.uses_labels]
    return [names.labels_key(entity.name, value) for entity, value in named if value is not None]
