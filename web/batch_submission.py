"""POST /batches: the upload to the disk, then the batch to the queue; or the first answer to its Idempotency-Key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from config.blobs.choice import blobs_of
from config.errors import BrokerUnavailable
from config.queue.batches import BatchFiles, BatchRecord
from config.tracing import current_traceparent
from web.answer import Answer, json_answer
from web.auth.actor import actor_of
from web.batch_report import report, retry_after_s
from web.idempotency import Fingerprint, Held, kept, read_key, replay
from web.identifiers import new_id
from web.ports.batches import BatchGateway
from web.ports.idempotency import Claim, IdempotencyStore, KeptAnswer
from web.services import Services
from web.upload import RowCount, UploadHead, blocks, read_head, require_space, store

SCOPE: Final = "batches"


class Submission:
    """Answers POST /batches from its WSGI environment."""

    def __init__(self, services: Services) -> None:
        self._settings = services.settings
        self._batches: BatchGateway = services.batches
        self._idempotency: IdempotencyStore = services.idempotency
        self._uploads = services.uploads
        self._blobs = blobs_of(services.settings)

    def __call__(self, environ: dict[str, Any], client: str) -> Answer:
        """The answer. Raises what `docs/bulk.md` lists; nothing of a refused upload is left."""
        key = read_key(environ)
        head = read_head(environ, self._settings.bulk_max_bytes, must_be_whole=key is not None)
        self._uploads.take()
        try:
            return self._answer(environ, client, head, key)
        finally:
            self._uploads.release()

    def _answer(self, environ: dict[str, Any], client: str, head: UploadHead, key: str | None) -> Answer:
        if key is None:
            return self._accept(self._incoming(environ, client, head))
        found = self._idempotency.claim(SCOPE, client, key)
        incoming = self._incoming(environ, client, head, Fingerprint(environ))
        if isinstance(found, KeptAnswer):
            for block in self._body(incoming):
                incoming.look_at(block)
            return replay(found, incoming.fingerprint_text())
        incoming.held = Held(self._idempotency, found)
        try:
            return self._accept(incoming)
        except BaseException:
            # Every refusal may become an acceptance later: the key is free. An accepted batch left its answer itself.
            incoming.held.release()
            raise

    def _incoming(
        self, environ: dict[str, Any], client: str, head: UploadHead, fingerprint: Fingerprint | None = None
    ) -> _Incoming:
        return _Incoming(environ, client, head, RowCount(head, self._settings.bulk_max_rows), fingerprint)

    def _body(self, incoming: _Incoming) -> Iterator[bytes]:
        return blocks(incoming.environ["wsgi.input"], incoming.head.length, self._settings.bulk_max_bytes)

    def _accept(self, incoming: _Incoming) -> Answer:
        self._batches.check_room(incoming.client)
        require_space(self._blobs, incoming.head.length or 0)
        batch_id = new_id()
        files = BatchFiles.of(self._blobs, batch_id)
        store(self._body(incoming), files, on_block=incoming.look_at)
        record = _new_record(batch_id, incoming, self._batches.now_ms())
        answer = accepted_answer(record)
        self._submit(record, incoming.keep(answer), files)
        return answer

    def _submit(self, record: BatchRecord, keep: tuple[Claim, KeptAnswer] | None, files: BatchFiles) -> None:
        """Accept the batch, or forget its files; where the broker failed in between, neither is certain.

        Then a worker may need the upload: it stays, and housekeeping removes what no batch claims.
        """
        is_asked = False
        try:
            # A broker that died during the upload is noticed here, before it can have accepted anything.
            self._batches.check_room(record.client)
            is_asked = True
            self._batches.submit(record, keep)
        except BaseException as error:
            if not (is_asked and isinstance(error, BrokerUnavailable)):
                files.remove()
            raise


@dataclass(slots=True)
class _Incoming:
    """One upload on its way in; `fingerprint` and `held` when it has an Idempotency-Key."""

    environ: dict[str, Any]
    client: str
    head: UploadHead
    rows: RowCount
    fingerprint: Fingerprint | None = None
    held: Held | None = None
    received_bytes: int = 0

    def look_at(self, block: bytes) -> None:
        """Called with every block of the body. Raises TooManyRows."""
        self.received_bytes += len(block)
        self.rows.add(block)
        if self.fingerprint is not None:
            self.fingerprint.update(block)
        if self.held is not None:
            self.held.refresh()

    def fingerprint_text(self) -> str:
        """The fingerprint, once the body was read; empty without a key."""
        return self.fingerprint.text() if self.fingerprint is not None else ""

    def keep(self, answer: Answer) -> tuple[Claim, KeptAnswer] | None:
        """What to remember together with the batch."""
        return (self.held.claim, kept(self.fingerprint_text(), answer)) if self.held is not None else None


def accepted_answer(record: BatchRecord) -> Answer:
    """202 with where to poll; the body is what GET /batches/{id} says at this moment."""
    now_ms = record.created_ms
    return json_answer(
        202,
        msgspec.json.encode(report(record, now_ms)),
        ("Location", f"/batches/{record.batch_id}"),
        ("Retry-After", str(retry_after_s(record, now_ms))),
    )


def _new_record(batch_id: str, incoming: _Incoming, now_ms: int) -> BatchRecord:
    head = incoming.head
    return BatchRecord(
        batch_id=batch_id,
        client=incoming.client,
        status="validating",
        format=head.format,
        is_gzip=head.is_gzip,
        upload_bytes=incoming.received_bytes,
        created_ms=now_ms,
        traceparent=current_traceparent(),
        sent_by=actor_of(incoming.environ, otherwise=""),
    )
