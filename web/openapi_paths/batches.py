"""Batches."""

from __future__ import annotations

from typing import Any

from web.openapi_paths.parts import (
    HEADERS,
    IDEMPOTENCY_KEY,
    TEXT,
    answer,
    operation,
    path,
    problems,
    query,
)
from web.upload import FORMATS


def submit_batch() -> dict[str, Any]:
    encoding = {
        "name": "Content-Encoding",
        "in": "header",
        "description": "`gzip` when the body is packed.",
        "schema": {"enum": ["gzip", "identity"]},
    }
    lines = {"schema": {"type": "string", "description": "A transaction (or a CSV header, then one) per line."}}
    array = {"schema": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Transaction"}}}
    named = {media_type: array if form == "json" else lines for media_type, form in FORMATS.items()}
    return operation(
        "batches",
        "Submit many payments",
        "postBatch",
        description="Rows are checked and scored one by one: a bad row goes to the errors and stops no other."
        " With an Idempotency-Key, Content-Length is required.",
        parameters=[IDEMPOTENCY_KEY, encoding],
        requestBody={"required": True, "content": named},
        responses={
            "202": answer("Accepted; poll", "BatchReport", "Location", "Retry-After", "Idempotency-Replayed"),
            **problems(409, 411, 413, 415, 422, 429, 503, 507),
        },
    )


def list_batches() -> dict[str, Any]:
    return operation(
        "batches",
        "List batches, newest first",
        "listBatches",
        parameters=[
            query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Most per page."),
            query("before", TEXT, "The `id` at the end of the page before."),
        ],
        responses={"200": answer("A page", "BatchPage"), **problems(422, 503)},
    )


def batch() -> dict[str, Any]:
    return operation(
        "batches",
        "Where a batch stands",
        "getBatch",
        parameters=[path("batch_id")],
        responses={"200": answer("The batch", "BatchReport", "Retry-After"), **problems(404, 503)},
    )


def cancel_batch() -> dict[str, Any]:
    return operation(
        "batches",
        "Cancel a batch; what was scored stays",
        "cancelBatch",
        parameters=[path("batch_id")],
        responses={
            "200": answer("Cancelled", "BatchReport"),
            "202": answer("It ends with its chunks that are out", "BatchReport", "Retry-After"),
            **problems(404, 409, 503),
        },
    )


def batch_results() -> dict[str, Any]:
    row = {"schema": {"$ref": "#/components/schemas/ResultRow"}}
    content = {"application/x-ndjson": row, "text/csv": {"schema": TEXT}}
    answer = {
        "description": "One decision per line, in input order",
        "content": content,
        "headers": {"Tollgate-Rows": HEADERS["Tollgate-Rows"]},
    }
    return operation(
        "batches",
        "A batch's decisions, when it has ended",
        "getBatchResults",
        parameters=[path("batch_id")],
        responses={"200": answer, **problems(404, 406, 409, 410, 503)},
    )


def batch_errors() -> dict[str, Any]:
    row = {"schema": {"$ref": "#/components/schemas/ErrorRow"}}
    answer = {"description": "One refused row per line, in input order", "content": {"application/x-ndjson": row}}
    return operation(
        "batches",
        "A batch's refused rows, of the part that is done",
        "getBatchErrors",
        parameters=[path("batch_id")],
        responses={"200": answer, **problems(404, 410, 503)},
    )
