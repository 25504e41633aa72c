"""The operations of the OpenAPI document: one entry per route, compared with the app's routes by a test."""

from __future__ import annotations

from typing import Any, Final, get_args

from config.contracts import Action
from config.schema.model import Schema
from config.schema.openapi import examples
from ml.quality.summary import GROUPINGS
from web.upload import FORMATS

_TEXT: Final = {"type": "string"}
_HEADERS: Final[dict[str, Any]] = {
    "Retry-After": {"description": "Whole seconds, at least 1.", "schema": {"type": "integer", "minimum": 1}},
    "Location": {"description": "Where to poll.", "schema": {"type": "string", "format": "uri-reference"}},
    "Preference-Applied": {"description": "The preferences that were honoured.", "schema": _TEXT},
    "Tollgate-Replayed": {
        "description": "`true`: this decision was made for an earlier submission of the same transaction_id.",
        "schema": {"const": "true"},
    },
    "Idempotency-Replayed": {
        "description": "`true`: this is the answer to an earlier request with the same Idempotency-Key.",
        "schema": {"const": "true"},
    },
    "Tollgate-Rows": {"description": "How many decisions follow.", "schema": {"type": "integer", "minimum": 0}},
    "Allow": {"description": "The methods of this route.", "schema": _TEXT},
}


def paths(schema: Schema) -> dict[str, Any]:
    """Path -> method -> operation."""
    return {
        "/predict": {"post": _predict(schema)},
        "/predictions/{transaction_id}": {"get": _poll()},
        "/batches": {"post": _submit_batch(), "get": _list_batches()},
        "/batches/{batch_id}": {"get": _batch(), "delete": _cancel_batch()},
        "/batches/{batch_id}/results": {"get": _batch_results()},
        "/batches/{batch_id}/errors": {"get": _batch_errors()},
        "/feedback": {"post": _feedback()},
        "/decisions": {"get": _decisions()},
        "/decisions/{decision_id}": {"get": _decision()},
        "/quality": {"get": _quality()},
        "/models": {"get": _models()},
        **_drift_paths(),
        "/reload-model": {"post": _reload()},
        **_dead_letter_paths(),
        **_model_job_paths(),
        **_operation_paths(),
        **_page_paths(),
    }


def _predict(schema: Schema) -> dict[str, Any]:
    prefer = {
        "name": "Prefer",
        "in": "header",
        "description": "RFC 7240. `wait=N`: wait at most N seconds. `respond-async`: accept at once.",
        "schema": _TEXT,
        "examples": {"wait": {"value": "wait=2"}, "respond-async": {"value": "respond-async"}},
    }
    client = {
        "name": "Tollgate-Client",
        "in": "header",
        "description": "Who asks: the policy file may say per client what a late score becomes.",
        "schema": {**_TEXT, "pattern": "^[!-~]{1,64}$"},
    }
    return _operation(
        "scoring",
        "Score a payment",
        "predict",
        parameters=[prefer, client, _query("explain", {"type": "boolean"}, "Give reasons whatever the score.")],
        requestBody=_transaction(schema),
        responses={
            "200": _json("The decision", "Decision", "Preference-Applied", "Tollgate-Replayed"),
            "202": _either(
                _json("Accepted; poll", "Pending", "Location", "Retry-After", "Preference-Applied"), "DeadLettered"
            ),
            **_problems(409, 413, 415, 422, 503),
        },
    )


def _poll() -> dict[str, Any]:
    return _operation(
        "scoring",
        "Poll for a decision",
        "getPrediction",
        parameters=[_path("transaction_id")],
        responses={
            "200": _json("The decision", "Decision"),
            "202": _either(
                _json("Accepted, not decided yet, or given up", "Pending", "Location", "Retry-After"), "DeadLettered"
            ),
            **_problems(404, 503),
        },
    )


def _feedback() -> dict[str, Any]:
    either = {"anyOf": [{"$ref": "#/components/schemas/Label"}, {"$ref": "#/components/schemas/Transaction"}]}
    file = {"schema": {"type": "string"}}
    labels = {"application/json": {"schema": either}, "application/x-ndjson": file, "text/csv": file}
    return _operation(
        "labels",
        "Say what a payment really was",
        "postFeedback",
        description="By id: a Label. By content: the transaction itself as body, and `actual_label`."
        " Many: NDJSON with a Label a line, or CSV with its fields as columns.",
        parameters=[
            _query("actual_label", {"type": "boolean"}, "True for fraud; the body is a transaction."),
            _IDEMPOTENCY_KEY,
        ],
        requestBody={"required": True, "content": labels},
        responses={
            "200": _json("Stored", "LabelRecord", "Idempotency-Replayed"),
            "202": _either(
                _json("Durable, on its way to the ledger", "LabelRecord", "Idempotency-Replayed"), "LabelFileReport"
            ),
            "207": _json("Of a file some rows were refused; the others are durable", "LabelFileReport"),
            **_problems(404, 409, 413, 415, 422, 503),
        },
    )


_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request with the same key gets the first answer again, for at least a day.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def _submit_batch() -> dict[str, Any]:
    encoding = {
        "name": "Content-Encoding",
        "in": "header",
        "description": "`gzip` when the body is packed.",
        "schema": {"enum": ["gzip", "identity"]},
    }
    lines = {"schema": {"type": "string", "description": "A transaction (or a CSV header, then one) per line."}}
    array = {"schema": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Transaction"}}}
    named = {media_type: array if form == "json" else lines for media_type, form in FORMATS.items()}
    return _operation(
        "batches",
        "Submit many payments",
        "postBatch",
        description="Rows are checked and scored one by one: a bad row goes to the errors and stops no other."
        " Content-Length is required.",
        parameters=[_IDEMPOTENCY_KEY, encoding],
        requestBody={"required": True, "content": named},
        responses={
            "202": _json("Accepted; poll", "BatchReport", "Location", "Retry-After", "Idempotency-Replayed"),
            **_problems(409, 411, 413, 415, 422, 429, 503, 507),
        },
    )


def _list_batches() -> dict[str, Any]:
    return _operation(
        "batches",
        "List batches, newest first",
        "listBatches",
        parameters=[
            _query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Most per page."),
            _query("before", _TEXT, "The `id` at the end of the page before."),
        ],
        responses={"200": _json("A page", "BatchPage"), **_problems(422, 503)},
    )


def _batch() -> dict[str, Any]:
    return _operation(
        "batches",
        "Where a batch stands",
        "getBatch",
        parameters=[_path("batch_id")],
        responses={"200": _json("The batch", "BatchReport", "Retry-After"), **_problems(404, 503)},
    )


def _cancel_batch() -> dict[str, Any]:
    return _operation(
        "batches",
        "Cancel a batch; what was scored stays",
        "cancelBatch",
        parameters=[_path("batch_id")],
        responses={
            "200": _json("Cancelled", "BatchReport"),
            "202": _json("It ends with its chunks that are out", "BatchReport", "Retry-After"),
            **_problems(404, 409, 503),
        },
    )


def _batch_results() -> dict[str, Any]:
    row = {"schema": {"$ref": "#/components/schemas/ResultRow"}}
    content = {"application/x-ndjson": row, "text/csv": {"schema": _TEXT}}
    answer = {
        "description": "One decision per line, in input order",
        "content": content,
        "headers": {"Tollgate-Rows": _HEADERS["Tollgate-Rows"]},
    }
    return _operation(
        "batches",
        "A batch's decisions, when it has ended",
        "getBatchResults",
        parameters=[_path("batch_id")],
        responses={"200": answer, **_problems(404, 406, 409, 410, 503)},
    )


def _batch_errors() -> dict[str, Any]:
    row = {"schema": {"$ref": "#/components/schemas/ErrorRow"}}
    answer = {"description": "One refused row per line, in input order", "content": {"application/x-ndjson": row}}
    return _operation(
        "batches",
        "A batch's refused rows, of the part that is done",
        "getBatchErrors",
        parameters=[_path("batch_id")],
        responses={"200": answer, **_problems(404, 410, 503)},
    )


def _decisions() -> dict[str, Any]:
    moment = {"type": "string", "format": "date-time"}
    return _operation(
        "ledger",
        "List decisions, newest first",
        "listDecisions",
        parameters=[
            _query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Most per page."),
            _query("before", {"type": "integer", "minimum": 0}, "The `id` at the end of the page before."),
            _query("action", {"enum": list(get_args(Action))}, "Only this action."),
            _query("model_version", _TEXT, "Only this model version."),
            _query("is_fraud", {"type": "boolean"}, "Only this verdict."),
            _query("since", moment, "Scored at or after."),
            _query("until", moment, "Scored before."),
        ],
        responses={"200": _json("A page", "DecisionPage"), **_problems(422, 503)},
    )


def _decision() -> dict[str, Any]:
    return _operation(
        "ledger",
        "One decision, with what was sent and what was derived",
        "getDecision",
        parameters=[_path("decision_id", "A decision id or a transaction id.")],
        responses={"200": _json("The decision", "DecisionRecord"), **_problems(404, 503)},
    )


def _quality() -> dict[str, Any]:
    day = {"type": "string", "description": "A date, or a time with its zone: then its day in UTC."}
    return _operation(
        "quality",
        "Live accuracy, precision, recall and money, with their uncertainty",
        "getQuality",
        parameters=[
            _query("by", {"enum": list(GROUPINGS), "default": "day"}, "One line per what."),
            _query("since", day, "First day of event time; default: 90 days before the last."),
            _query("until", day, "The day after the last; default: tomorrow."),
        ],
        responses={"200": _json("Live quality", "QualityReport"), **_problems(422, 503)},
    )


def _models() -> dict[str, Any]:
    return _operation(
        "models",
        "The champion and every bundle",
        "listModels",
        responses={"200": _json("Models", "ModelList")},
    )


def _drift_paths() -> dict[str, Any]:
    limit = _query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Most reports.")
    number = {**_path("report_id"), "schema": {"type": "integer", "minimum": 0}}
    picture = {"200": {"description": "PNG", "content": {"image/png": {"schema": {"type": "string"}}}}}
    listed = {"200": _json("Checks, newest first", "DriftList"), **_problems(422, 503)}
    found = {"200": _json("The check", "DriftRecord"), **_problems(404, 503)}
    return {
        "/drift": {"get": _operation("models", "Drift checks", "listDrift", parameters=[limit], responses=listed)},
        "/drift/{report_id}": {
            "get": _operation("models", "One drift check", "getDrift", parameters=[number], responses=found)
        },
        "/drift/{report_id}.png": {
            "get": _operation(
                "models",
                "Its picture",
                "getDriftPicture",
                parameters=[number],
                responses={**picture, **_problems(404)},
            )
        },
    }


def _reload() -> dict[str, Any]:
    timeout = {"type": "number", "minimum": 0, "maximum": 120}
    return _operation(
        "models",
        "Let every scoring worker load the champion again",
        "reloadModel",
        parameters=[
            _query("timeout_s", timeout, "How long to wait for the workers' answers."),
            _query("wait", {"type": "boolean", "default": True}, "False: ask only, do not wait."),
        ],
        responses={
            "200": _json("Every worker serves the champion", "ReloadAnswer"),
            "207": _json("Some do not, or did not answer", "ReloadAnswer"),
            **_problems(422, 503),
        },
    )


def _dead_letter_paths() -> dict[str, Any]:
    tag, entry = "dead letters", _path("entry_id", "A transaction id, or `label:`, `batch:`, `chunk:` and an id.", 200)
    values = _query("values", {"type": "boolean", "default": False}, "True: values, not only their types. Card data!")
    limit = {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
    page = [_query("limit", limit, "Most per page."), _query("offset", {"type": "integer", "minimum": 0}, "Skipped.")]
    listed = {"200": _json("A page", "DeadLetterPage"), **_problems(422, 503)}
    shown = {"200": _json("The dead letter", "DeadLetterRecord"), **_problems(404, 422, 503)}
    replayed = {"202": _json("On its queue again", "ReplayRecord"), **_problems(404, 503)}
    dropped = {"204": {"description": "Forgotten"}, **_problems(404, 503)}
    listing = _operation(tag, "List what was given up", "listDeadLetters", parameters=page, responses=listed)
    show = _operation(tag, "One dead letter", "getDeadLetter", parameters=[entry, values], responses=shown)
    replay = _operation(tag, "Try it again", "replayDeadLetter", parameters=[entry], responses=replayed)
    drop = _operation(tag, "Forget it for good", "dropDeadLetter", parameters=[entry], responses=dropped)
    return {
        "/dead-letters": {"get": listing},
        "/dead-letters/{entry_id}": {"get": show, "delete": drop},
        "/dead-letters/{entry_id}/replay": {"post": replay},
    }


def _model_job_paths() -> dict[str, Any]:
    wait = _query("timeout_s", {"type": "number", "minimum": 0, "maximum": 120, "default": 20}, "How long to wait.")
    force = _query("force", {"type": "boolean", "default": False}, "Overrule the gate; it is recorded.")
    finished = {"200": _json("Done", "ModelJob"), "202": _job_accepted(), **_problems(404, 409, 422, 503)}
    return {
        "/retrain": {
            "get": _operation(
                "models",
                "Does a training run, and what came of the last one",
                "getRetrain",
                responses={"200": _json("The newest training", "TrainingState"), **_problems(503)},
            ),
            "post": _operation(
                "models",
                "Train a challenger on the ledger; the gate decides about it",
                "postRetrain",
                responses={"202": _job_accepted(), **_problems(409, 422, 503)},
            ),
        },
        "/models/{model_version}/promote": {
            "post": _operation(
                "models",
                "Make a model the champion, if the gate says so",
                "promoteModel",
                parameters=[_path("model_version"), force, wait],
                responses=finished,
            )
        },
        "/models/rollback": {
            "post": _operation(
                "models",
                "Make the model that the champion replaced the champion again",
                "rollBackModel",
                parameters=[wait],
                responses=finished,
            )
        },
        "/models/jobs/{job_id}": {
            "get": _operation(
                "models",
                "What came of a promotion, rollback or training",
                "getModelJob",
                parameters=[_path("job_id")],
                responses={"200": _json("The job", "ModelJob"), **_problems(404, 503)},
            )
        },
    }


def _job_accepted() -> dict[str, Any]:
    return _json("Accepted; poll", "ModelJob", "Location", "Retry-After")


def _operation_paths() -> dict[str, Any]:
    ready = {"200": _json("A warmed scoring worker answered", "HealthReport"), **_problems(503)}
    live = {"200": _json("This process runs", "Liveness")}
    summary = {"text/plain": {"schema": _TEXT}, "text/html": {"schema": _TEXT}}
    as_json = {"application/json": {"schema": {"type": "object"}}}
    exposition = {"text/plain": {"schema": _TEXT}, "application/openmetrics-text": {"schema": _TEXT}}
    return {
        "/health": {"get": _operation("operations", "Can it score?", "getHealth", responses=ready)},
        "/health/ready": {
            "get": _operation("operations", "Readiness, the same as /health", "getReadiness", responses=ready)
        },
        "/health/live": {"get": _operation("operations", "Liveness of the process", "getLiveness", responses=live)},
        "/metrics": {
            "get": _operation(
                "operations",
                "A summary for people",
                "getMetrics",
                responses={"200": {"description": "The summary", "content": {**summary, **as_json}}},
            )
        },
        "/prometheus": {
            "get": _operation(
                "operations",
                "Metrics for Prometheus",
                "getPrometheus",
                responses={"200": {"description": "Text exposition format", "content": exposition}},
            )
        },
    }


def _page_paths() -> dict[str, Any]:
    html = {"200": {"description": "A page", "content": {"text/html": {"schema": _TEXT}}}}
    document = {"200": {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}}}
    problem = {
        "200": {
            "description": "What it means",
            "content": {
                "text/html": {"schema": _TEXT},
                "application/json": {"schema": {"$ref": "#/components/schemas/ProblemType"}},
            },
        },
        **_problems(404),
    }
    about, tag = "What a problem code means", "documentation"
    return {
        "/": {"get": _operation(tag, "Start page", "getIndex", responses=html)},
        "/docs": {"get": _operation(tag, "This API, to browse and try", "getDocs", responses=html)},
        "/openapi.json": {"get": _operation(tag, "This document", "getOpenapi", responses=document)},
        "/problems/{code}": {
            "get": _operation(tag, about, "getProblem", parameters=[_path("code")], responses=problem)
        },
    }


def _operation(tag: str, summary: str, operation_id: str, **members: Any) -> dict[str, Any]:
    return {"tags": [tag], "summary": summary, "operationId": operation_id, **members}


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _path(name: str, description: str = "", longest: int = 128) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": longest}
    parameter = {"name": name, "in": "path", "required": True, "schema": schema}
    return {**parameter, "description": description} if description else parameter


def _transaction(schema: Schema) -> dict[str, Any]:
    named = {name: {"value": value} for name, value in examples(schema).items()}
    reference = {"$ref": "#/components/schemas/Transaction"}
    content = {"application/json": {"schema": reference, "examples": named}}
    return {"required": True, "description": f"A `{schema.name}` transaction.", "content": content}


def _json(description: str, structure: str, *headers: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{structure}"}}}
    answer: dict[str, Any] = {"description": description, "content": content}
    return {**answer, "headers": {name: _HEADERS[name] for name in headers}} if headers else answer


def _either(answer: dict[str, Any], other: str) -> dict[str, Any]:
    """The same answer, with a second structure that its body may have."""
    schema = answer["content"]["application/json"]["schema"]
    either = {"anyOf": [schema, {"$ref": f"#/components/schemas/{other}"}]}
    return {**answer, "content": {"application/json": {"schema": either}}}


def _problems(*statuses: int) -> dict[str, Any]:
    return {str(status): _problem(status) for status in statuses}


_MEANINGS: Final = {
    404: "Unknown id",
    406: "None of the types in Accept can be written",
    409: "It does not go with what was sent before, or with the state of things; `code` says which",
    410: "What was kept for a time is gone",
    411: "Content-Length is required",
    413: "The body is too large",
    415: "Not a type that is read here",
    422: "Not valid; `errors` names every field",
    429: "Too many at once; nothing was accepted",
    503: "Overloaded, or a part is down; nothing was accepted",
    507: "The disk is full; nothing was accepted",
}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    answer: dict[str, Any] = {
        "description": _MEANINGS[status],
        "content": {"application/problem+json": {"schema": schema}},
    }
    return {**answer, "headers": {"Retry-After": _HEADERS["Retry-After"]}} if status in (429, 503) else answer
