"""The console's pages, what its scripts read, and what its forms ask for."""

from __future__ import annotations

from typing import Any

from web.openapi_paths.parts import TEXT, answer, operation, path, problems, query

_TAG = "console"


def console_paths() -> dict[str, Any]:
    """Path -> method -> operation, of everything under /console."""
    return {
        "/console": {"get": page("Live overview", "getConsole")},
        "/console/live": {
            "get": operation(
                _TAG,
                "The figures of the live overview",
                "getConsoleLive",
                parameters=[query("since", {"type": "integer", "minimum": 0}, "Only curves after this slot.")],
                responses={"200": answer("What happens now", "Overview"), **problems(422)},
            )
        },
    }


def page(summary: str, operation_id: str, *statuses: int, parameters: list[dict[str, Any]] | None = None) -> Any:
    """A page of the console; an error is a page too, or a problem document for who does not accept HTML."""
    html = {"200": {"description": "A page", "content": {"text/html": {"schema": TEXT}}}}
    more: dict[str, Any] = {"parameters": parameters} if parameters else {}
    return operation(_TAG, summary, operation_id, responses={**html, **problems(*statuses)}, **more)


def change(summary: str, operation_id: str, responses: dict[str, Any], *statuses: int, name: str, **more: Any) -> Any:
    """What a page of the console asks for; refused from anywhere else. `name`: of the parameter in the path."""
    header = {"name": "X-Tollgate-Token", "in": "header", "description": "What the page carries.", "schema": TEXT}
    parameters = [*([path(name)] if name else []), header]
    answers = {**responses, **problems(403, *statuses)}
    return operation(_TAG, summary, operation_id, parameters=parameters, responses=answers, **more)
