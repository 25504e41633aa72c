"""The parts that the operations of the document share: headers, parameters, answers."""

from __future__ import annotations

from typing import Any, Final

from config.schema.model import Schema
from config.schema.openapi import examples

TEXT: Final = {"type": "string"}


HEADERS: Final[dict[str, Any]] = {
    "Retry-After": {"description": "Whole seconds, at least 1.", "schema": {"type": "integer", "minimum": 1}},
    "Location": {"description": "Where to poll.", "schema": {"type": "string", "format": "uri-reference"}},
    "Preference-Applied": {"description": "The preferences that were honoured.", "schema": TEXT},
    "Tollgate-Replayed": {
        "description": "`true`: this decision was made for an earlier submission of the same transaction_id.",
        "schema": {"const": "true"},
    },
    "Idempotency-Replayed": {
        "description": "`true`: this is the answer to an earlier request with the same Idempotency-Key.",
        "schema": {"const": "true"},
    },
    "Tollgate-Rows": {"description": "How many decisions follow.", "schema": {"type": "integer", "minimum": 0}},
    "Allow": {"description": "The methods of this route.", "schema": TEXT},
}


IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request with the same key gets the first answer again, for at least a day.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def operation(tag: str, summary: str, operation_id: str, **members: Any) -> dict[str, Any]:
    """One operation of the document."""
    return {"tags": [tag], "summary": summary, "operationId": operation_id, **members}


def query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """An optional parameter in the query."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def path(name: str, description: str = "", longest: int = 128) -> dict[str, Any]:
    """A parameter that is a part of the path."""
    schema = {"type": "string", "minLength": 1, "maxLength": longest}
    parameter = {"name": name, "in": "path", "required": True, "schema": schema}
    return {**parameter, "description": description} if description else parameter


def transaction(schema: Schema) -> dict[str, Any]:
    """The body that carries a transaction, with the schema's own examples."""
    named = {name: {"value": value} for name, value in examples(schema).items()}
    reference = {"$ref": "#/components/schemas/Transaction"}
    content = {"application/json": {"schema": reference, "examples": named}}
    return {"required": True, "description": f"A `{schema.name}` transaction.", "content": content}


def answer(description: str, structure: str, *headers: str) -> dict[str, Any]:
    """An answer in JSON: a structure of the document and the headers that come with it."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{structure}"}}}
    answer: dict[str, Any] = {"description": description, "content": content}
    return {**answer, "headers": {name: HEADERS[name] for name in headers}} if headers else answer


def one_of(answer: dict[str, Any], other: str) -> dict[str, Any]:
    """The same answer, with a second structure that its body may have."""
    schema = answer["content"]["application/json"]["schema"]
    either = {"anyOf": [schema, {"$ref": f"#/components/schemas/{other}"}]}
    return {**answer, "content": {"application/json": {"schema": either}}}


def problems(*statuses: int) -> dict[str, Any]:
    """Answers as problem documents, by status."""
    return {str(status): _problem(status) for status in statuses}


_MEANINGS: Final = {
    401: "No API key or token is shown, or one that is not accepted",
    403: "The key or token does not hold the scope; or not asked for by a page of the console",
    404: "Unknown id",
    406: "None of the types in Accept can be written",
    408: "The body came too slowly; its connection is closed",
    409: "It does not go with what was sent before, or with the state of things; `code` says which",
    410: "What was kept for a time is gone",
    411: "With an Idempotency-Key, Content-Length is required",
    413: "The body is too large",
    415: "Not a type that is read here",
    422: "Not valid; `errors` names every field",
    429: "Too many, or too often; nothing was accepted",
    503: "Overloaded, or a part is down; nothing was accepted",
    507: "The disk is full; nothing was accepted",
}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    answer: dict[str, Any] = {
        "description": _MEANINGS[status],
        "content": {"application/problem+json": {"schema": schema}},
    }
    return {**answer, "headers": {"Retry-After": HEADERS["Retry-After"]}} if status in (429, 503) else answer
