"""Who may call an operation: security schemes, the scopes of each operation, and how it refuses."""

from __future__ import annotations

from typing import Any, Final

from web.auth.rights import RIGHTS
from web.openapi_paths.parts import problems

SCHEMES: Final[dict[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`tg_...`), or a token of the issuer in TOLLGATE_OIDC_ISSUER. Asked for where"
        " TOLLGATE_AUTH=required.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "An API key, the other way."},
}


def secured(paths: dict[str, Any]) -> dict[str, Any]:
    """The same paths; each operation says what opens it, as the table of rights has it."""
    return {
        path: {method: _secured(f"{method.upper()} {path}", operation) for method, operation in methods.items()}
        for path, methods in paths.items()
    }


def _secured(route: str, operation: dict[str, Any]) -> dict[str, Any]:
    right = RIGHTS[route]
    if right.is_public:
        return {**operation, "security": []}
    # One of the scopes suffices; {}: nothing is asked for where TOLLGATE_AUTH=off.
    ways: list[dict[str, list[str]]] = [{name: [scope]} for scope in right.scopes for name in SCHEMES]
    responses = {**problems(401, 403, 503), **operation["responses"]}
    ordered = {status: responses[status] for status in sorted(responses)}
    return {**operation, "security": [*ways, {}], "responses": ordered}
