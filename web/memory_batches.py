"""Batches and kept answers without a broker: everything in this process, for tests.

They keep the promises of `web.ports.batches` and `web.ports.idempotency`; no worker takes the batches, so a test that
needs one to go on calls `update`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any
from uuid import uuid4

from config.errors import BatchEnded, RequestInProgress, TollgateError, TooManyBatches, UnknownId
from config.queue.batches import ENDED, BatchRecord
from web.ports.idempotency import Claim, KeptAnswer


@dataclass(slots=True)
class MemoryIdempotency:
    """Kept answers for as long as the process runs. `failure`: what every call raises."""

    failure: TollgateError | None = None
    _content: dict[str, bytes | KeptAnswer] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def claim(self, scope: str, client: str, key: str) -> Claim | KeptAnswer:
        """See `IdempotencyStore.claim`."""
        self._require_broker()
        claim = Claim(f"{scope}:{client}:{key}", uuid4().hex.encode())
        with self._lock:
            found = self._content.setdefault(claim.key, claim.mark)
        if isinstance(found, KeptAnswer):
            return found
        if found != claim.mark:
            raise RequestInProgress("a request with this Idempotency-Key is being answered", retry_after_s=2)
        return claim

    def refresh(self, claim: Claim) -> None:
        """See `IdempotencyStore.refresh`."""
        if not self._swap(claim, claim.mark):
            raise RequestInProgress("another request took this Idempotency-Key", retry_after_s=2)

    def keep(self, claim: Claim, answer: KeptAnswer) -> None:
        """See `IdempotencyStore.keep`."""
        self._swap(claim, answer)

    def release(self, claim: Claim) -> None:
        """See `IdempotencyStore.release`."""
        self._swap(claim, None)

    def forget(self, claim: Claim) -> None:
        """The mark runs out, as if its process had died."""
        with self._lock:
            self._content.pop(claim.key)

    def _swap(self, claim: Claim, content: bytes | KeptAnswer | None) -> bool:
        self._require_broker()
        with self._lock:
            if self._content.get(claim.key, claim.mark) != claim.mark:
                return False
            self._content.pop(claim.key, None)
            if content is not None:
                self._content[claim.key] = content
            return True

    def _require_broker(self) -> None:
        if self.failure is not None:
            raise self.failure


@dataclass(slots=True)
class MemoryBatches:
    """Batches that stay as they are. `limit`: unfinished ones per client; `failure`: what every call raises."""

    idempotency: MemoryIdempotency
    limit: int = 8
    failure: TollgateError | None = None
    records: dict[str, BatchRecord] = field(default_factory=dict)

    def now_ms(self) -> int:
        """See `BatchGateway.now_ms`."""
        return int(time.time() * 1000)

    def check_room(self, client: str) -> None:
        """See `BatchGateway.check_room`."""
        self._require_broker()
        n_open = sum(record.client == client and record.status not in ENDED for record in self.records.values())
        if n_open >= self.limit:
            raise TooManyBatches(f"{n_open} batches of this client are unfinished", retry_after_s=10)

    def submit(self, record: BatchRecord, keep: tuple[Claim, KeptAnswer] | None = None) -> None:
        """See `BatchGateway.submit`."""
        self.check_room(record.client)
        if keep is not None:
            self.idempotency.refresh(keep[0])
            self.idempotency.keep(*keep)
        self.records[record.batch_id] = record

    def find(self, batch_id: str) -> BatchRecord | None:
        """See `BatchGateway.find`."""
        self._require_broker()
        return self.records.get(batch_id)

    def newest(self, *, limit: int, before: str | None) -> Sequence[BatchRecord]:
        """See `BatchGateway.newest`."""
        self._require_broker()
        ids = sorted(self.records, reverse=True)
        first = 0 if before is None else ids.index(before) + 1 if before in ids else len(ids)
        return [self.records[batch_id] for batch_id in ids[first : first + limit]]

    def cancel(self, batch_id: str) -> BatchRecord:
        """See `BatchGateway.cancel`."""
        record = self.find(batch_id)
        if record is None:
            raise UnknownId(f"no batch has the id {batch_id!r}")
        if record.status not in ("validating", "in_progress", "cancelling"):
            raise BatchEnded(f"the batch is {record.status}; nothing is left to cancel")
        is_out = record.status != "in_progress" or record.next_chunk != record.done_chunks
        return self.update(batch_id, status="cancelling" if is_out else "cancelled")

    def update(self, batch_id: str, **changed: Any) -> BatchRecord:
        """What a worker would write into the record."""
        self.records[batch_id] = replace(self.records[batch_id], **changed)
        return self.records[batch_id]

    def _require_broker(self) -> None:
        if self.failure is not None:
            raise self.failure
