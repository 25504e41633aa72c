"""Labels on their way to the ledger: matched with their decision, then accepted (`web.acceptance`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import redis
from celery import Celery

from config import names
from config.contracts import LabelEntry
from config.settings import Settings
from web.acceptance import Acceptance
from web.breaker import Guard
from web.journal_search import find_undrained
from web.label_chunks import LabelChunks, label_entry
from web.label_refusals import label_conflict, unknown_target
from web.label_targets import ids_of
from web.ports.labels import Label, LabelOutcome, LabelRefusal
from web.ports.lookup import DecisionLookup
from web.ports.transactions import Outcome
from web.stored_labels import said_in_ledger

Find = Callable[[str], Outcome]
"""`TransactionGateway.find`."""

_CONFLICT = b"C"
_encode = msgspec.json.Encoder().encode


class QueuedLabels:
    """Records labels on behalf of one gateway, one by one or many at once. `guard` runs every broker command."""

    def __init__(
        self, settings: Settings, app: Celery, client: redis.Redis, lookup: DecisionLookup, *, find: Find, guard: Guard
    ) -> None:
        self._acceptance = Acceptance(settings, app, client, task=names.TASK_RECORD_LABEL, queue=names.QUEUE_BACKGROUND)
        self._chunks = LabelChunks(settings, app, client, lookup, guard=guard)
        self._client = client
        self._lookup = lookup
        self._find = find
        self._guard = guard

    def record(self, label: Label) -> LabelOutcome:
        """See `TransactionGateway.record_label`."""
        target = self._target(label)
        decision_id, transaction_id = target or (None, None)
        entry = label_entry(label, decision_id, transaction_id)
        digest = entry.content_digest()
        if said_in_ledger(self._lookup, [entry.label_id]).get(entry.label_id, digest) != digest:
            raise label_conflict(label.label_id)
        [status, *_] = self._guard(lambda: self._accept(entry))
        if status == _CONFLICT:
            raise label_conflict(label.label_id)
        return LabelOutcome("accepted", label.label_id, target is not None, transaction_id, decision_id)

    def record_all(self, labels: Sequence[Label]) -> Sequence[LabelRefusal | None]:
        """See `TransactionGateway.record_labels`."""
        return self._chunks.record(labels)

    def _accept(self, entry: LabelEntry) -> Any:
        marker = names.label_marker_key(entry.label_id)
        return self._acceptance.accept(
            f"label:{entry.label_id}", _encode(entry), digest=entry.content_digest(), result=marker
        )

    def _target(self, label: Label) -> tuple[str | None, str] | None:
        """`(decision_id, transaction_id)`; no decision id yet for what was accepted and is not decided.

        Raises UnknownId: there is none, or it is another tenant's.
        """
        if label.transaction_id is not None:
            outcome = self._find(label.transaction_id)
            if outcome.decision_json is not None:
                return ids_of(outcome.decision_json)
            if outcome.status == "pending" and label.digest is None:
                return None, label.transaction_id
        target = self._lookup.find_label_target(label) or self._guard(lambda: find_undrained(self._client, label))
        if target is not None and not label.shares_tenant(target[1]):
            target = None
        if target is None and label.digest is None:
            raise unknown_target(label)
        return target
