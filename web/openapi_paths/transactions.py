"""One transaction and its label."""

from __future__ import annotations

from typing import Any

from config.schema.model import Schema
from web.openapi_paths.parts import (
    IDEMPOTENCY_KEY,
    TEXT,
    answer,
    one_of,
    operation,
    path,
    problems,
    query,
    transaction,
)


def predict(schema: Schema) -> dict[str, Any]:
    prefer = {
        "name": "Prefer",
        "in": "header",
        "description": "RFC 7240. `wait=N`: wait at most N seconds. `respond-async`: accept at once.",
        "schema": TEXT,
        "examples": {"wait": {"value": "wait=2"}, "respond-async": {"value": "respond-async"}},
    }
    client = {
        "name": "Tollgate-Client",
        "in": "header",
        "description": "Who asks: the policy file may say per client what a late score becomes.",
        "schema": {**TEXT, "pattern": "^[!-~]{1,64}$"},
    }
    return operation(
        "scoring",
        "Score a payment",
        "predict",
        parameters=[prefer, client, query("explain", {"type": "boolean"}, "Give reasons whatever the score.")],
        requestBody=transaction(schema),
        responses={
            "200": answer("The decision", "Decision", "Preference-Applied", "Tollgate-Replayed"),
            "202": one_of(
                answer("Accepted; poll", "Pending", "Location", "Retry-After", "Preference-Applied"),
                "DeadLettered",
            ),
            **problems(409, 413, 415, 422, 503),
        },
    )


def poll() -> dict[str, Any]:
    return operation(
        "scoring",
        "Poll for a decision",
        "getPrediction",
        parameters=[path("transaction_id")],
        responses={
            "200": answer("The decision", "Decision"),
            "202": one_of(
                answer("Accepted, not decided yet, or given up", "Pending", "Location", "Retry-After"),
                "DeadLettered",
            ),
            **problems(404, 503),
        },
    )


def feedback() -> dict[str, Any]:
    either = {"anyOf": [{"$ref": "#/components/schemas/Label"}, {"$ref": "#/components/schemas/Transaction"}]}
    file = {"schema": {"type": "string"}}
    labels = {"application/json": {"schema": either}, "application/x-ndjson": file, "text/csv": file}
    return operation(
        "labels",
        "Say what a payment really was",
        "postFeedback",
        description="By id: a Label. By content: the transaction itself as body, and `actual_label`."
        " Many: NDJSON with a Label a line, or CSV with its fields as columns; of these with an Idempotency-Key"
        " Content-Length is required.",
        parameters=[
            query("actual_label", {"type": "boolean"}, "True for fraud; the body is a transaction."),
            IDEMPOTENCY_KEY,
        ],
        requestBody={"required": True, "content": labels},
        responses={
            "200": answer("Stored", "LabelRecord", "Idempotency-Replayed"),
            "202": one_of(
                answer("Durable, on its way to the ledger", "LabelRecord", "Idempotency-Replayed"),
                "LabelFileReport",
            ),
            "207": answer("Of a file some rows were refused; the others are durable", "LabelFileReport"),
            **problems(404, 409, 411, 413, 415, 422, 503),
        },
    )
