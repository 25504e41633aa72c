"""The way from a view to the batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from config.queue.batches import BatchRecord
from web.ports.idempotency import Claim, KeptAnswer


class BatchGateway(Protocol):
    """The way from a view to the batches. Every call returns or raises within its time limit."""

    def now_ms(self) -> int:
        """Unix milliseconds on the clock that batches are stamped with."""

    def check_room(self, client: str) -> None:
        """Pass while `client` may submit another batch. Raises TooManyBatches, BrokerUnavailable."""

    def submit(self, record: BatchRecord, keep: tuple[Claim, KeptAnswer] | None = None) -> None:
        """Accept a batch whose upload is on the disk, and remember the answer to its key, together or not at all.

        Raises:
            TooManyBatches: the client has as many unfinished ones as it may.
            RequestInProgress: the key was lost to another request.
            Overloaded: too many submissions at once.
            BrokerUnavailable: the broker failed; whether the batch was accepted is not known.
        """

    def find(self, batch_id: str) -> BatchRecord | None:
        """The batch, or None. Raises BrokerUnavailable."""

    def newest(self, *, limit: int, before: str | None) -> Sequence[BatchRecord]:
        """Newest first, at most `limit`; `before` is the id that the page follows. Raises BrokerUnavailable."""

    def cancel(self, batch_id: str) -> BatchRecord:
        """Stop a batch as soon as its chunks that are out have ended. Idempotent until it has ended.

        Raises: UnknownId, BatchEnded (nothing is left to cancel), BrokerUnavailable.
        """
