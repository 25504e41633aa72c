"""POST /feedback with a file of labels: read, check and accept in chunks; the answer says what was refused and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

import msgspec

from config.errors import FieldError, TollgateError, UnsupportedMediaType
from web.answer import Answer, json_answer
from web.auth.actor import actor_of
from web.idempotency import Fingerprint, Held, read_key
from web.idempotency import replay as replayed
from web.label_rows import read_label_rows
from web.labels import label_guard
from web.ports.idempotency import KeptAnswer
from web.ports.labels import Label
from web.ports.transactions import TransactionGateway
from web.services import Services
from web.shapes.labels import LabelFileReport, LabelRowError
from web.slots import TransferSlots
from web.tenancy import gateway_for, tenant_at
from web.upload import FORMATS, UploadHead, blocks, read_head

SCOPE: Final = "feedback"
LABELS_PER_CHUNK: Final = 500
ERRORS_SHOWN: Final = 100


def is_label_file(environ: dict[str, Any]) -> bool:
    """Whether the request's Content-Type is that of a file of labels."""
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    return FORMATS.get(media_type) in ("ndjson", "csv")


class LabelFiles:
    """Answers POST /feedback with NDJSON or CSV."""

    def __init__(self, services: Services) -> None:
        self._gateway = services.gateway
        self._idempotency = services.idempotency
        self._limit_bytes = services.settings.feedback_max_bytes
        self._cards = label_guard(services.settings.card_numbers)
        self._uploads = TransferSlots(services.settings.web_threads, "uploads")

    def __call__(self, environ: dict[str, Any], client: str) -> Answer:
        """202 when every row was accepted, 207 when some were refused; with counts and the first errors.

        What was accepted stays when a later row, or the connection, fails: sending the file again changes nothing.

        Raises: UnsupportedMediaType, LengthRequired, MalformedBody, BodyTooLarge, RequestInProgress,
        IdempotencyKeyReused, Overloaded, BrokerUnavailable, LedgerUnavailable.
        """
        key = read_key(environ)
        head = read_head(environ, self._limit_bytes, must_be_whole=key is not None)
        if head.is_gzip:
            raise UnsupportedMediaType("Content-Encoding is gzip; send labels unpacked")
        self._uploads.take()
        try:
            if key is None:
                return self._record(environ, self._body(environ, head), head)
            return self._once(environ, client, head, key)
        finally:
            self._uploads.release()

    def _once(self, environ: dict[str, Any], client: str, head: UploadHead, key: str) -> Answer:
        found = self._idempotency.claim(SCOPE, client, key)
        fingerprint = Fingerprint(environ)
        if isinstance(found, KeptAnswer):
            for block in self._body(environ, head):
                fingerprint.update(block)
            return replayed(found, fingerprint.text())
        held = Held(self._idempotency, found)
        try:
            answer = self._record(environ, self._watched(environ, head, fingerprint, held), head)
        except BaseException:
            held.release()
            raise
        held.keep(fingerprint.text(), answer)
        return answer

    def _body(self, environ: dict[str, Any], head: UploadHead) -> Iterator[bytes]:
        return blocks(environ["wsgi.input"], head.length, self._limit_bytes)

    def _watched(
        self, environ: dict[str, Any], head: UploadHead, fingerprint: Fingerprint, held: Held
    ) -> Iterator[bytes]:
        for block in self._body(environ, head):
            fingerprint.update(block)
            held.refresh()
            yield block

    def _record(self, environ: dict[str, Any], body: Iterator[bytes], head: UploadHead) -> Answer:
        gateway, actor = gateway_for(self._gateway, tenant_at(environ)), actor_of(environ, otherwise="")
        tally = _Tally()
        chunk: list[tuple[int, Label]] = []
        form = cast("Literal['ndjson', 'csv']", head.format)
        for row in read_label_rows(body, form, now=datetime.now(UTC), cards=self._cards):
            if isinstance(row.label, TollgateError):
                tally.refuse(row.line, row.label)
                continue
            chunk.append((row.line, replace(row.label, client=actor)))
            if len(chunk) == LABELS_PER_CHUNK:
                _accept(gateway, chunk, tally)
                chunk = []
        _accept(gateway, chunk, tally)
        report = tally.report()
        return json_answer(207 if report.refused else 202, msgspec.json.encode(report))


class _Tally:
    """What became of the rows so far."""

    def __init__(self) -> None:
        self.accepted = 0
        self._refused = 0
        self._errors: list[LabelRowError] = []

    def refuse(self, line: int, error: TollgateError) -> None:
        """Count a refused row; the first ones are kept with their reasons."""
        self._refused += 1
        if len(self._errors) < ERRORS_SHOWN:
            self._errors.append(_row_error(line, error))

    def report(self) -> LabelFileReport:
        """The answer, errors by line."""
        return LabelFileReport(
            received=self.accepted + self._refused,
            accepted=self.accepted,
            refused=self._refused,
            errors=sorted(self._errors, key=lambda error: error.line),
            errors_omitted=self._refused - len(self._errors),
        )


def _accept(gateway: TransactionGateway, chunk: list[tuple[int, Label]], tally: _Tally) -> None:
    if not chunk:
        return
    refusals = gateway.record_labels([label for _, label in chunk])
    for (line, _), refusal in zip(chunk, refusals, strict=True):
        if refusal is None:
            tally.accepted += 1
        else:
            tally.refuse(line, refusal)


def _row_error(line: int, error: TollgateError) -> LabelRowError:
    return LabelRowError(line=line, code=error.code, detail=error.detail, errors=[_shown(one) for one in error.errors])


def _shown(error: FieldError) -> dict[str, str]:
    return {"pointer": error.pointer, "code": error.code, "message": error.message}
