"""/batches: many transactions in one upload, polled, then read as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Request, Response, request

from config.blobs.choice import blobs_of
from config.errors import BatchExpired, BatchNotFinished, NotAcceptable, UnknownId
from config.queue.batches import ENDED, BatchFiles, BatchRecord
from web.answer import Answer, json_answer
from web.auth.actor import caller_of
from web.batch_report import report, retry_after_s, shown_status
from web.batch_rows import Rows, as_csv, as_lines, rows_of
from web.batch_submission import Submission
from web.identifiers import known_length
from web.own_batches import OwnBatches
from web.problems import as_response
from web.query import parse_query, whole
from web.services import Services
from web.shapes.batches import BatchPage
from web.slots import TransferSlots
from web.tenancy import tenant_at

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
PAGE_MAX: Final = 500
_NDJSON_NAMES: Final = (NDJSON, "application/ndjson", "application/jsonl")
ROWS: Final = "Tollgate-Rows"


def batches_blueprint(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("batches", __name__)
    submit = Submission(services)
    batches = services.batches
    downloads = services.downloads
    blobs = blobs_of(services.settings)

    @blueprint.post("/batches")
    def post_batch() -> Response:
        return as_response(submit(request.environ, caller_of(request)))

    @blueprint.get("/batches")
    def get_batches() -> Response:
        query = parse_query(request.environ.get("QUERY_STRING", ""), {"limit", "before"})
        limit = whole(query, "limit", default=50, low=1, high=PAGE_MAX)
        found = own_batches(services).newest(limit=limit, before=query.get("before"))
        now_ms = batches.now_ms()
        page = BatchPage([report(record, now_ms) for record in found], _next_page(query, limit, [*found]))
        return as_response(json_answer(200, msgspec.json.encode(page)))

    @blueprint.get("/batches/<batch_id>")
    def get_batch(batch_id: str) -> Response:
        return as_response(batch_answer(200, find_batch(services, batch_id), batches.now_ms()))

    @blueprint.delete("/batches/<batch_id>")
    def delete_batch(batch_id: str) -> Response:
        record = own_batches(services).cancel(known_length(batch_id))
        return as_response(batch_answer(200 if record.status in ENDED else 202, record, batches.now_ms()))

    @blueprint.get("/batches/<batch_id>/results")
    def get_results(batch_id: str) -> Response:
        record = find_batch(services, batch_id)
        wanted = wanted_type(request)
        require_ended(record, batches.now_ms())
        files = BatchFiles.of(blobs, record.batch_id)
        rows = rows_of(files.all_results())
        return streamed(rows, wanted, downloads, {ROWS: str(record.completed)})

    @blueprint.get("/batches/<batch_id>/errors")
    def get_errors(batch_id: str) -> Response:
        record = find_batch(services, batch_id)
        require_kept(record, batches.now_ms())
        files = BatchFiles.of(blobs, record.batch_id)
        return streamed(rows_of(files.all_errors()), NDJSON, downloads, {})

    return blueprint


def own_batches(services: Services) -> OwnBatches:
    """The batches of the tenant that asks."""
    return OwnBatches(services.batches, tenant_at(request.environ))


def find_batch(services: Services, batch_id: str) -> BatchRecord:
    """The batch of this tenant with this id. Raises UnknownId, BrokerUnavailable."""
    record = own_batches(services).find(known_length(batch_id))
    if record is None:
        raise UnknownId(f"no batch has the id {batch_id!r}")
    return record


def batch_answer(status: int, record: BatchRecord, now_ms: int) -> Answer:
    """The batch; while it is unfinished with a Retry-After."""
    headers = [] if record.status in ENDED else [("Retry-After", str(retry_after_s(record, now_ms)))]
    return json_answer(status, msgspec.json.encode(report(record, now_ms)), *headers)


def wanted_type(request: Request) -> str:
    """NDJSON or CSV, by Accept; NDJSON without one. Raises NotAcceptable."""
    accepted = request.accept_mimetypes
    if not accepted:
        return NDJSON
    found = accepted.best_match((*_NDJSON_NAMES, CSV))
    if found is None:
        raise NotAcceptable(f"results are written as {NDJSON} or {CSV}")
    return CSV if found == CSV else NDJSON


def require_kept(record: BatchRecord, now_ms: int) -> None:
    """Pass while the batch's files are kept. Raises BatchExpired."""
    if shown_status(record, now_ms) == "expired":
        raise BatchExpired("what this batch left behind was kept for its time and is gone")


def require_ended(record: BatchRecord, now_ms: int) -> None:
    """Pass when the results are there. Raises BatchExpired, BatchNotFinished."""
    require_kept(record, now_ms)
    if record.status not in ENDED:
        raise BatchNotFinished(f"the batch is {record.status}", retry_after_s=retry_after_s(record, now_ms))


def streamed(rows: Rows, media_type: str, downloads: TransferSlots, headers: Mapping[str, str]) -> Response:
    """The rows. Lines have a Content-Length, so that a stream that broke off is noticed.

    CSV is made on the way and its length is not known; granian ends a chunked answer that broke off as if it were
    complete, so a client compares the rows with Tollgate-Rows. Raises Overloaded: too many downloads.
    """
    downloads.take()
    is_csv = media_type == CSV
    body: Iterator[bytes] = as_csv(rows) if is_csv else as_lines(rows)
    response = Response(body, mimetype=media_type, headers=dict(headers))
    response.call_on_close(downloads.release)
    if not is_csv:
        response.content_length = rows.size
    return response


def _next_page(query: Mapping[str, str], limit: int, found: list[BatchRecord]) -> str | None:
    if len(found) < limit:
        return None
    return f"/batches?{urlencode({**query, 'before': found[-1].batch_id})}"
