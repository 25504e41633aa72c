"""What limits add to the document: how the budget stands on every answer that draws on one, 429, and 408 for bodies."""

from __future__ import annotations

from typing import Any, Final

from web.openapi_paths.parts import problems

HEADERS: Final = {
    "RateLimit-Limit": "Requests that the tightest budget of this request has in its window. Only where limits are on.",
    "RateLimit-Remaining": "Requests that are left of it, as of the last look.",
    "RateLimit-Reset": "Seconds until it is whole again.",
}
_FREE: Final = ("/health", "/health/live", "/health/ready", "/metrics", "/prometheus", "/problems/{code}")
_TOLD: Final = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}


def limit_headers() -> dict[str, Any]:
    """The headers as components of the document."""
    whole = {"type": "integer", "minimum": 0}
    return {name: {"description": text, "schema": whole} for name, text in HEADERS.items()}


def with_limits(paths: dict[str, Any]) -> dict[str, Any]:
    """The same paths; operations that draw on a budget say so."""
    return {
        path: methods if path in _FREE else {method: _limited(operation) for method, operation in methods.items()}
        for path, methods in paths.items()
    }


def _limited(operation: dict[str, Any]) -> dict[str, Any]:
    added = problems(408, 429) if "requestBody" in operation else problems(429)
    responses = {**added, **operation["responses"]}
    ordered = {status: _told(status, responses[status]) for status in sorted(responses)}
    return {**operation, "responses": ordered}


def _told(status: str, answer: dict[str, Any]) -> dict[str, Any]:
    return (
        {**answer, "headers": {**answer.get("headers", {}), **_TOLD}}
        if status.startswith("2") or status == "429"
        else answer
    )
