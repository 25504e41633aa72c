"""The console's pages, what its scripts read, and what its forms ask for; more of them in `console_models`."""

from __future__ import annotations

from typing import Any, Final

from ml.ledger.review_book import REVIEW_ORDERS
from web.openapi_paths.console_models import model_console_paths
from web.openapi_paths.console_parts import SEE_OTHER, TAG, change, page
from web.openapi_paths.parts import TEXT, answer, operation, path, problems, query


def console_paths() -> dict[str, Any]:
    """Path -> method -> operation, of everything under /console."""
    return {**_overview(), **_decisions(), **_reviews(), **_batches(), **model_console_paths()}


def _overview() -> dict[str, Any]:
    since = query("since", {"type": "integer", "minimum": 0}, "Only curves after this slot.")
    return {
        "/console": {"get": page("Live overview", "getConsole")},
        "/console/live": {
            "get": operation(
                TAG,
                "The figures of the live overview",
                "getConsoleLive",
                parameters=[since],
                responses={"200": answer("What happens now", "Overview"), **problems(422)},
            )
        },
    }


def _decisions() -> dict[str, Any]:
    found = {"200": answer("The replay", "ReplayRequest"), **problems(404, 503)}
    sought = query("q", TEXT, "An id of a decision, a transaction or an account; the filters of GET /decisions too.")
    one = "/console/decisions/{decision_id}"
    return {
        "/console/decisions": {"get": page("Decisions", "getConsoleDecisions", 422, 503, parameters=[sought])},
        one: {"get": page("One decision", "getConsoleDecision", 404, 503, parameters=[path("decision_id")])},
        f"{one}/replay": {"post": change("Replay it", "replayDecision", SEE_OTHER, 404, 503, name="decision_id")},
        "/console/replays/{replay_id}": {
            "get": operation(TAG, "What came of a replay", "getReplay", parameters=[path("replay_id")], responses=found)
        },
    }


def _reviews() -> dict[str, Any]:
    shown = [
        query("order", {"enum": list(REVIEW_ORDERS), "default": "loss"}, "Which cases come first."),
        query("after", {"type": "integer", "minimum": 0}, "Only those after the decision with this `id`."),
    ]
    queue = {"200": answer("The queue, with what others hold", "ReviewQueue"), **problems(422, 503)}
    case, kept = "/console/reviews/{decision_id}", {"202": {"description": "Kept, durable on its way to the ledger"}}
    done = {"204": {"description": "Done"}}
    return {
        "/console/reviews": {"get": page("Review queue", "getConsoleReviews", 422, parameters=shown)},
        "/console/reviews/queue": {
            "get": operation(TAG, "Its cases", "getConsoleReviewQueue", parameters=shown, responses=queue)
        },
        f"{case}/case": {"get": page("One case", "getConsoleCase", 404, 503, parameters=[path("decision_id")])},
        f"{case}/claim": {"post": change("Hold a case", "claimReview", done, 409, 503, name="decision_id")},
        f"{case}/release": {"post": change("Let go of it", "releaseReview", done, 503, name="decision_id")},
        f"{case}/label": {
            "post": change(
                "Label it",
                "labelReview",
                kept,
                *(404, 409, 415, 422, 503),
                name="decision_id",
                requestBody={"required": True, "content": {"application/json": {"schema": _VERDICT}}},
            )
        },
    }


def _batches() -> dict[str, Any]:
    batch, one = "/console/batches/{batch_id}", [path("batch_id")]
    listed = {"type": "array", "items": {"$ref": "#/components/schemas/BatchReport"}}
    newest = {"200": {"description": "The newest", "content": {"application/json": {"schema": listed}}}}
    state = {"200": answer("Where it stands", "BatchReport"), **problems(404, 503)}
    accepted = {"202": answer("Accepted", "BatchReport", "Location", "Retry-After")}
    refusals = (411, 413, 415, 422, 429, 503, 507)
    return {
        "/console/batches": {
            "get": page("Batches", "getConsoleBatches", 503),
            "post": change("Submit a batch", "submitConsoleBatch", accepted, *refusals, name=""),
        },
        "/console/batches/states": {
            "get": operation(TAG, "The newest batches", "getBatchStates", responses={**newest, **problems(503)})
        },
        batch: {"get": page("One batch", "getConsoleBatch", 404, 503, parameters=one)},
        f"{batch}/state": {
            "get": operation(TAG, "Where a batch stands", "getBatchState", parameters=one, responses=state)
        },
        f"{batch}/cancel": {
            "post": change("Cancel it", "cancelConsoleBatch", SEE_OTHER, 404, 409, 503, name="batch_id")
        },
        f"{batch}/results.csv": {"get": _download("Its results", "getConsoleResultsCsv", "text/csv")},
        f"{batch}/results.ndjson": {"get": _download("Its results", "getConsoleResults", "application/x-ndjson")},
        f"{batch}/errors.ndjson": {"get": _download("Its refused rows", "getConsoleErrors", "application/x-ndjson")},
    }


_VERDICT: Final = {"type": "object", "required": ["is_fraud"], "properties": {"is_fraud": {"type": "boolean"}}}


def _download(summary: str, operation_id: str, media_type: str) -> dict[str, Any]:
    rows = {"200": {"description": "A file to keep", "content": {media_type: {"schema": TEXT}}}}
    answers = {**rows, **problems(404, 409, 410, 503)}
    return operation(TAG, summary, operation_id, parameters=[path("batch_id")], responses=answers)
