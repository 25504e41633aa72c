"""The batches as one tenant sees them: those that it submitted itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from config.errors import UnknownId
from config.queue.batches import BatchRecord
from web.ports.batches import BatchGateway

PAGE: Final = 500


class OwnBatches:
    """What views read and cancel of the batches of one tenant. Every method raises BrokerUnavailable."""

    def __init__(self, batches: BatchGateway, tenant: str) -> None:
        self._batches = batches
        self._tenant = tenant

    def find(self, batch_id: str) -> BatchRecord | None:
        """The batch, or None: there is none, or it is another tenant's."""
        record = self._batches.find(batch_id)
        return record if record is not None and record.tenant == self._tenant else None

    def newest(self, *, limit: int, before: str | None) -> Sequence[BatchRecord]:
        """See `BatchGateway.newest`. Reads past the others' batches: there are thousands of all, not millions."""
        if before is not None and self.find(before) is None:
            return []
        return list(islice(self._own(before, limit), limit))

    def cancel(self, batch_id: str) -> BatchRecord:
        """See `BatchGateway.cancel`. Raises UnknownId, BatchEnded."""
        if self.find(batch_id) is None:
            raise UnknownId(f"no batch has the id {batch_id!r}")
        return self._batches.cancel(batch_id)

    def _own(self, before: str | None, limit: int) -> Iterator[BatchRecord]:
        size = min(limit, PAGE)
        while found := self._batches.newest(limit=size, before=before):
            yield from (record for record in found if record.tenant == self._tenant)
            before, size = found[-1].batch_id, PAGE
