"""/console/batches: upload a file from the browser, follow it, take its results away."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, redirect, request
from werkzeug import Response as AnyResponse

from config.blobs.choice import blobs_of
from config.queue.batches import ENDED, BatchFiles, BatchRecord
from config.schema.openapi import example
from web.auth.actor import caller_of
from web.batch_report import report
from web.batch_rows import rows_of
from web.batch_submission import Submission
from web.console.page import data, page
from web.identifiers import known_length
from web.problems import as_response
from web.services import Services
from web.shapes.batches import BatchReport
from web.views.batches import CSV, NDJSON, ROWS, find_batch, own_batches, require_ended, require_kept, streamed

HERE: Final = "batches"
SHOWN: Final = 50


def batch_pages(services: Services) -> Blueprint:
    """The routes of this module."""
    blueprint = Blueprint("batches", __name__)
    submit = Submission(services)
    batches = services.batches
    sample = example(services.schema)

    def newest() -> list[BatchReport]:
        return [report(record, batches.now_ms()) for record in own_batches(services).newest(limit=SHOWN, before=None)]

    @blueprint.get("/batches")
    def get_batches() -> Response:
        return page("batches.html", here=HERE, batches=newest(), sample=sample, shown=SHOWN)

    @blueprint.post("/batches")
    def post_batch() -> Response:
        return as_response(submit(request.environ, caller_of(request)))

    @blueprint.get("/batches/states")
    def get_states() -> Response:
        return data(newest())

    @blueprint.get("/batches/<batch_id>")
    def get_batch(batch_id: str) -> Response:
        record = find_batch(services, batch_id)
        return page("batch.html", here=HERE, batch=report(record, batches.now_ms()), has_ended=record.status in ENDED)

    @blueprint.get("/batches/<batch_id>/state")
    def get_state(batch_id: str) -> Response:
        return data(report(find_batch(services, batch_id), batches.now_ms()))

    @blueprint.post("/batches/<batch_id>/cancel")
    def post_cancel(batch_id: str) -> AnyResponse:
        record = own_batches(services).cancel(known_length(batch_id))
        return redirect(f"/console/batches/{record.batch_id}", 303)

    @blueprint.get("/batches/<batch_id>/results.ndjson")
    def get_results(batch_id: str) -> Response:
        return _results(services, find_batch(services, batch_id), NDJSON)

    @blueprint.get("/batches/<batch_id>/results.csv")
    def get_results_csv(batch_id: str) -> Response:
        return _results(services, find_batch(services, batch_id), CSV)

    @blueprint.get("/batches/<batch_id>/errors.ndjson")
    def get_errors(batch_id: str) -> Response:
        record = find_batch(services, batch_id)
        require_kept(record, batches.now_ms())
        files = BatchFiles.of(blobs_of(services.settings), record.batch_id)
        rows = rows_of(files.all_errors())
        headers = _saved_as(f"{record.batch_id}-errors.ndjson")
        return streamed(rows, NDJSON, services.downloads, headers)

    return blueprint


def _results(services: Services, record: BatchRecord, media_type: str) -> Response:
    require_ended(record, services.batches.now_ms())
    files = BatchFiles.of(blobs_of(services.settings), record.batch_id)
    rows = rows_of(files.all_results())
    ending = "csv" if media_type == CSV else "ndjson"
    headers = {ROWS: str(record.completed), **_saved_as(f"{record.batch_id}-results.{ending}")}
    return streamed(rows, media_type, services.downloads, headers)


def _saved_as(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
