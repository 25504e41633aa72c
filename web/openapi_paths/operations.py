"""Health, metrics, dead letters and pages."""

from __future__ import annotations

from typing import Any

from web.openapi_paths.parts import HEADERS, TEXT, answer, operation, path, problems, query


def dead_letter_paths() -> dict[str, Any]:
    tag, entry = "dead letters", path("entry_id", "A transaction id, or `label:`, `batch:`, `chunk:` and an id.", 200)
    values = query("values", {"type": "boolean", "default": False}, "True: values, not only their types. Card data!")
    limit = {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
    page = [query("limit", limit, "Most per page."), query("offset", {"type": "integer", "minimum": 0}, "Skipped.")]
    listed = {"200": answer("A page", "DeadLetterPage"), **problems(422, 503)}
    shown = {"200": answer("The dead letter", "DeadLetterRecord"), **problems(404, 422, 503)}
    replayed = {"202": answer("On its queue again", "ReplayRecord"), **problems(404, 503)}
    dropped = {"204": {"description": "Forgotten"}, **problems(404, 503)}
    listing = operation(tag, "List what was given up", "listDeadLetters", parameters=page, responses=listed)
    show = operation(tag, "One dead letter", "getDeadLetter", parameters=[entry, values], responses=shown)
    replay = operation(tag, "Try it again", "replayDeadLetter", parameters=[entry], responses=replayed)
    drop = operation(tag, "Forget it for good", "dropDeadLetter", parameters=[entry], responses=dropped)
    return {
        "/dead-letters": {"get": listing},
        "/dead-letters/{entry_id}": {"get": show, "delete": drop},
        "/dead-letters/{entry_id}/replay": {"post": replay},
    }


def operation_paths() -> dict[str, Any]:
    ready = {"200": answer("A warmed scoring worker answered", "HealthReport"), **problems(503)}
    live = {"200": answer("This process runs", "Liveness")}
    summary = {"text/plain": {"schema": TEXT}, "text/html": {"schema": TEXT}}
    as_json = {"application/json": {"schema": {"$ref": "#/components/schemas/MetricsSummary"}}}
    exposition = {"text/plain": {"schema": TEXT}, "application/openmetrics-text": {"schema": TEXT}}
    return {
        "/session/check": {"get": _session_check()},
        "/console/pass": {"get": _pass()},
        "/health": {"get": operation("operations", "Can it score?", "getHealth", responses=ready)},
        "/health/ready": {
            "get": operation("operations", "Readiness, the same as /health", "getReadiness", responses=ready)
        },
        "/health/live": {"get": operation("operations", "Liveness of the process", "getLiveness", responses=live)},
        "/metrics": {
            "get": operation(
                "operations",
                "A summary for people",
                "getMetrics",
                responses={"200": {"description": "The summary", "content": {**summary, **as_json}}},
            )
        },
        "/prometheus": {
            "get": operation(
                "operations",
                "Metrics for Prometheus",
                "getPrometheus",
                responses={"200": {"description": "Text exposition format", "content": exposition}},
            )
        },
    }


def _session_check() -> dict[str, Any]:
    login = {"description": "A browser without a session: to the login", "headers": {"Location": HEADERS["Location"]}}
    user = {"X-Auth-Request-User": {"description": "Who asks.", "schema": TEXT}}
    return operation(
        "operations",
        "May this request go on to a page that the proxy guards? The proxy asks, with X-Forwarded-Host",
        "checkSession",
        responses={
            "204": {"description": "It may", "headers": user},
            "302": login,
            **problems(401, 403),
        },
    )


def _pass() -> dict[str, Any]:
    pages = {"type": "string", "enum": ["grafana", "prometheus", "alertmanager", "mlflow"]}
    place = {"type": "string", "pattern": "^/", "default": "/"}
    return operation(
        "console",
        "Where a browser gets on to a page that the proxy guards: back to it, with a code that becomes its cookie",
        "getPass",
        parameters=[query("page", pages, "The page."), query("to", place, "Path and query there.")],
        responses={
            "302": {"description": "To the page", "headers": {"Location": HEADERS["Location"]}},
            **problems(403, 422),
        },
    )


def page_paths() -> dict[str, Any]:
    html = {"200": {"description": "A page", "content": {"text/html": {"schema": TEXT}}}}
    document = {"200": {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}}}
    problem = {
        "200": {
            "description": "What it means",
            "content": {
                "text/html": {"schema": TEXT},
                "application/json": {"schema": {"$ref": "#/components/schemas/ProblemType"}},
            },
        },
        **problems(404),
    }
    about, tag = "What a problem code means", "documentation"
    return {
        "/": {"get": operation(tag, "Start page", "getIndex", responses=html)},
        "/docs": {"get": operation(tag, "This API, to browse and try", "getDocs", responses=html)},
        "/openapi.json": {"get": operation(tag, "This document", "getOpenapi", responses=document)},
        "/problems/{code}": {"get": operation(tag, about, "getProblem", parameters=[path("code")], responses=problem)},
    }
