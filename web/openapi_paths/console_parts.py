"""How an operation of the console is described: a page, or a change that only a page may ask for."""

from __future__ import annotations

from typing import Any, Final

from web.openapi_paths.parts import HEADERS, TEXT, operation, path, problems

TAG: Final = "console"
SEE_OTHER: Final = {"303": {"description": "The page that shows it", "headers": {"Location": HEADERS["Location"]}}}


def page(summary: str, operation_id: str, *statuses: int, parameters: list[dict[str, Any]] | None = None) -> Any:
    """A page of the console; an error is a page too, or a problem document for who does not accept HTML."""
    html = {"200": {"description": "A page", "content": {"text/html": {"schema": TEXT}}}}
    more: dict[str, Any] = {"parameters": parameters} if parameters else {}
    return operation(TAG, summary, operation_id, responses={**html, **problems(*statuses)}, **more)


def change(summary: str, operation_id: str, responses: dict[str, Any], *statuses: int, name: str, **more: Any) -> Any:
    """What a page of the console asks for; refused from anywhere else. `name`: of the parameter in the path."""
    header = {"name": "X-Tollgate-Token", "in": "header", "description": "What the page carries.", "schema": TEXT}
    parameters = [*([path(name)] if name else []), header]
    answers = {**responses, **problems(403, *statuses)}
    return operation(TAG, summary, operation_id, parameters=parameters, responses=answers, **more)
