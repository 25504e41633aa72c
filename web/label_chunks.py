"""Many labels by id at once: who they are about in a few queries, then one inbox entry for all of them.

`web.gateway` hands them over in chunks; `workers.label_chunks` records a chunk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import redis
from celery import Celery

from config import names
from config.contracts import LabelEntry
from config.queue.results import decisions_of
from config.settings import Settings
from config.tracing import current_traceparent
from web.acceptance import Acceptance
from web.breaker import Guard
from web.identifiers import new_id
from web.journal_search import find_all_undrained
from web.label_refusals import label_conflict, unknown_target
from web.label_targets import Target, ids_of
from web.ports.labels import Label, LabelRefusal
from web.stored_labels import LabelLookup, said_in_ledger

Look = Callable[[Sequence[Label]], Sequence[Target | None]]
Row = LabelEntry | LabelRefusal
"""A label that will be kept, or why it will not."""

_encode = msgspec.json.Encoder().encode


class TargetLookup(LabelLookup, Protocol):
    """The part of the ledger that knows what labels are about, and what they said."""

    def find_label_targets(self, labels: Sequence[Label]) -> Sequence[Target | None]:
        """One per label in order; None where no decision is known. Raises LedgerUnavailable."""


class LabelChunks:
    """Accepts chunks of labels on behalf of one gateway."""

    def __init__(
        self, settings: Settings, app: Celery, client: redis.Redis, lookup: TargetLookup, *, guard: Guard
    ) -> None:
        self._acceptance = Acceptance(
            settings, app, client, task=names.TASK_RECORD_LABELS, queue=names.QUEUE_BACKGROUND
        )
        self._client = client
        self._lookup = lookup
        self._guard = guard

    def record(self, labels: Sequence[Label]) -> list[LabelRefusal | None]:
        """See `ScoringGateway.record_labels`."""
        rows = self._without_conflicts(
            [
                unknown_target(label) if target is None else label_entry(label, *target)
                for label, target in zip(labels, self._targets(labels), strict=True)
            ]
        )
        entries = [row for row in rows if isinstance(row, LabelEntry)]
        if entries:
            self._guard(lambda: self._accept_entries(entries))
        return [None if isinstance(row, LabelEntry) else row for row in rows]

    def _without_conflicts(self, rows: Sequence[Row]) -> list[Row]:
        label_ids = [row.label_id for row in rows if isinstance(row, LabelEntry)]
        if not label_ids:
            return list(rows)
        said = {**said_in_ledger(self._lookup, label_ids), **self._guard(lambda: self._said_before(label_ids))}
        return [_or_conflict(row, said) if isinstance(row, LabelEntry) else row for row in rows]

    def _said_before(self, label_ids: Sequence[str]) -> dict[str, str]:
        """Digests of what labels with these ids said, recorded this week or sent alone and waiting. One round trip."""
        with self._client.pipeline(transaction=False) as pipe:
            # What waits before what is recorded: one that is recorded in between is seen.
            for label_id in label_ids:
                pipe.hget(names.inbox_key(f"label:{label_id}"), "digest")
            pipe.mget([names.label_marker_key(label_id) for label_id in label_ids])
            *waiting, recorded = pipe.execute()
        found = zip(label_ids, recorded, waiting, strict=True)
        return {label_id: (marker or digest).decode() for label_id, marker, digest in found if marker or digest}

    def _targets(self, labels: Sequence[Label]) -> list[Target | None]:
        """In the ledger, else among the results, else in the journal: those two hold what is on its way there."""
        targets = list(self._lookup.find_label_targets(labels))
        for look in (self._among_results, self._in_journal):
            missing = [at for at, target in enumerate(targets) if target is None]
            if missing:
                for at, target in zip(missing, self._look(look, [labels[at] for at in missing]), strict=True):
                    targets[at] = target
        return [
            target if target is not None and label.shares_tenant(target[1]) else None
            for label, target in zip(labels, targets, strict=True)
        ]

    def _look(self, look: Look, labels: Sequence[Label]) -> Sequence[Target | None]:
        return self._guard(lambda: look(labels))

    def _among_results(self, labels: Sequence[Label]) -> list[Target | None]:
        # The key of a label by decision id is one that no result has.
        stored: Any = self._client.mget([names.result_key(label.transaction_id or "") for label in labels])
        return [ids_of(decision) for decision in decisions_of(self._client, [result or b"" for result in stored])]

    def _in_journal(self, labels: Sequence[Label]) -> list[Target | None]:
        return find_all_undrained(self._client, labels)

    def _accept_entries(self, entries: Sequence[LabelEntry]) -> Any:
        # A new entry each time: a chunk that is sent again is recorded again, and each of its labels only once.
        entry_id = f"labels:{new_id()}"
        return self._acceptance.accept(entry_id, _encode(entries), digest=entry_id)


def _or_conflict(entry: LabelEntry, said: dict[str, str]) -> Row:
    """The entry, which is noted in `said`, unless a label of the same id is there and says something else."""
    digest = entry.content_digest()
    return entry if said.setdefault(entry.label_id, digest) == digest else label_conflict(entry.label_id)


def label_entry(label: Label, decision_id: str | None, transaction_id: str | None) -> LabelEntry:
    """The label as it travels, received now."""
    stands_alone = transaction_id is None
    return LabelEntry(
        label_id=label.label_id,
        is_fraud=label.is_fraud,
        source=label.source,
        known_at_s=label.known_at.timestamp(),
        received_at_s=time.time(),
        decision_id=decision_id,
        transaction_id=transaction_id,
        reason_code=label.reason_code,
        amount=label.amount,
        digest=label.digest,
        values=list(label.values) if stands_alone and label.values is not None else None,
        client=label.client,
        traceparent=current_traceparent(),
    )
