"""Batches on the real queue (`web.ports.batches`), beside `web.gateway`, whose connections it uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import redis
from celery import Celery

from config import names
from config.errors import BatchEnded, Overloaded, RequestInProgress, TooManyBatches, UnknownId
from config.queue.batches import BatchRecord, batch_entry, batch_of, read_batch
from config.queue.clock import ServerClock
from config.queue.server_scripts import register
from config.settings import Settings
from web.acceptance import Acceptance
from web.breaker import Guard
from web.idempotency_store import encode_answer
from web.ports.idempotency import Claim, KeptAnswer

SUBMIT_TRIES: Final = 10
RETRY_AFTER_ENDED_S: Final = 10.0
_CANCELLED: Final = 1


class QueuedBatches:
    """One per web process. `guard` runs every command; `clock` is the server's, measured by the reply thread."""

    def __init__(self, settings: Settings, app: Celery, client: redis.Redis, *, clock: ServerClock, guard: Guard):
        self._settings = settings
        self._client = client
        self._clock = clock
        self._guard = guard
        self._acceptance = Acceptance(settings, app, client, task=names.TASK_OPEN_BATCH, queue=names.QUEUE_BULK)
        self._cancel = register(client, "cancel_batch")

    def now_ms(self) -> int:
        """See `BatchGateway.now_ms`."""
        return self._clock.now_ms()

    def check_room(self, client: str) -> None:
        """See `BatchGateway.check_room`."""
        self._require_room(self._guard(lambda: self._client.scard(names.open_batches_key(client))))

    def submit(self, record: BatchRecord, keep: tuple[Claim, KeptAnswer] | None = None) -> None:
        """See `BatchGateway.submit`. Another submission of the same client in between makes it try again."""
        for _ in range(SUBMIT_TRIES):
            if self._guard(lambda: self._submit_once(record, keep)):
                return
        raise Overloaded("this client submits too many batches at once", retry_after_s=1)

    def find(self, batch_id: str) -> BatchRecord | None:
        """See `BatchGateway.find`."""
        return self._guard(lambda: read_batch(self._client, batch_id))

    def newest(self, *, limit: int, before: str | None) -> Sequence[BatchRecord]:
        """See `BatchGateway.newest`. A batch whose record is gone already is left out."""
        stored = self._guard(lambda: self._newest(limit, before))
        return [batch_of(fields) for fields in stored if fields]

    def cancel(self, batch_id: str) -> BatchRecord:
        """See `BatchGateway.cancel`."""
        answer = self._guard(lambda: self._run_cancel(batch_id))
        record = self.find(batch_id)
        if answer is None or record is None:
            raise UnknownId(f"no batch has the id {batch_id!r}")
        if answer[0] != _CANCELLED:
            raise BatchEnded(f"the batch is {answer[1].decode()}; nothing is left to cancel")
        return record

    def _submit_once(self, record: BatchRecord, keep: tuple[Claim, KeptAnswer] | None) -> bool:
        open_batches = names.open_batches_key(record.client)
        fields: dict[Any, Any] = {**record.fields()}
        with self._client.pipeline() as pipe:
            try:
                pipe.watch(open_batches, *([keep[0].key] if keep else []))
                self._require_room(pipe.scard(open_batches))
                _require_claim(pipe, keep)
                pipe.multi()
                pipe.hset(names.batch_key(record.batch_id), mapping=fields)
                pipe.sadd(open_batches, record.batch_id)
                pipe.zadd(names.BATCHES, {record.batch_id: record.created_ms})
                if keep:
                    pipe.set(keep[0].key, encode_answer(keep[1]), ex=self._settings.idempotency_ttl_s)
                self._acceptance.accept_within(
                    pipe, batch_entry(record.batch_id), record.batch_id, digest=record.batch_id
                )
                pipe.execute()
            except redis.WatchError:
                return False
            return True

    def _newest(self, limit: int, before: str | None) -> list[Any]:
        first: Any = 0
        if before is not None:
            rank: Any = self._client.zrevrank(names.BATCHES, before)
            if rank is None:
                return []
            first = rank + 1
        found: Any = self._client.zrevrange(names.BATCHES, first, first + limit - 1)
        pipe = self._client.pipeline(transaction=False)
        for batch_id in found:
            pipe.hgetall(names.batch_key(batch_id.decode()))
        return pipe.execute()

    def _run_cancel(self, batch_id: str) -> Any:
        entry_id = batch_entry(batch_id)
        return self._cancel(
            keys=[names.batch_key(batch_id), names.inbox_key(entry_id), names.INBOX_DUE],
            args=[batch_id, entry_id, names.open_batches_key(""), self._settings.bulk_results_ttl_s * 1000],
        )

    def _require_room(self, n_open: Any) -> None:
        limit = self._settings.bulk_batches_per_client
        if n_open >= limit:
            detail = f"{n_open} batches of this client are unfinished and {limit} may be"
            raise TooManyBatches(detail, retry_after_s=RETRY_AFTER_ENDED_S)


def _require_claim(pipe: redis.client.Pipeline, keep: tuple[Claim, KeptAnswer] | None) -> None:
    if keep and pipe.get(keep[0].key) not in (None, keep[0].mark):
        raise RequestInProgress("another request with this Idempotency-Key came first", retry_after_s=1)
