"""docs/api-reference.md, written from the OpenAPI document: `python -m deploy.docs_site.api_reference > FILE`.

As Markdown, so that the site's search finds every field and no page needs a viewer's scripts; a running Tollgate has
one to try things in, at `/docs`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from deploy.docs_site.json_shapes import cell, fields, kind
from web.openapi import build_document

HEAD: Final = """# API reference

Every route, parameter and structure of the default schema. This page is generated from the OpenAPI document:
`python -m deploy.docs_site.api_reference > docs/api-reference.md`. What it means, with examples: [api.md](api.md); each
problem code: [problems.md](problems.md); to try it: `/docs` of a running Tollgate. A schema file of your own changes
`Transaction` ([schema-files.md](schema-files.md)). Scopes count where keys are asked for
([authentication.md](authentication.md)).
"""
# Pages for people: their routes are listed, not explained.
LISTED_ONLY: Final = ("console", "documentation")


def reference() -> str:
    """The whole page, for the default schema."""
    document = build_document(load_schema(DEFAULT_SCHEMA))
    routes = [_tag(tag, list(_operations(document, tag["name"]))) for tag in document["tags"]]
    structures = [_structure(name, shape) for name, shape in document["components"]["schemas"].items()]
    return "\n".join([HEAD, *routes, "## Structures\n", *structures])


def _operations(document: dict[str, Any], tag: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield f"{method.upper()} {path}", operation


def _tag(tag: dict[str, str], operations: list[tuple[str, dict[str, Any]]]) -> str:
    head = f"## {tag['name'].capitalize()}\n\n{tag['description']}\n\n"
    if tag["name"] in LISTED_ONLY:
        rows = [f"| `{route}` | {cell(operation['summary'])} |" for route, operation in operations]
        return head + "\n".join(["| route | |", "|---|---|", *rows]) + "\n"
    return head + "\n".join(_operation(route, operation) for route, operation in operations)


def _operation(route: str, operation: dict[str, Any]) -> str:
    says = [operation["summary"].rstrip(".?") + ".", operation.get("description", "")]
    parts = [f"### {route}\n", " ".join([*filter(None, says), _rights(operation)])]
    parts += [*_parameters(operation), *_body(operation)]
    answers = [_answer(status, answer) for status, answer in operation["responses"].items()]
    return "\n".join([*parts, "", "| status | answer | body | headers |", "|---|---|---|---|", *answers]) + "\n"


def _rights(operation: dict[str, Any]) -> str:
    """Which scope opens it, where somebody asks."""
    scopes = sorted({scope for way in operation.get("security", ()) for held in way.values() for scope in held})
    return f"Scope: {', '.join(f'`{scope}`' for scope in scopes)}." if scopes else "Open to everybody."


def _parameters(operation: dict[str, Any]) -> list[str]:
    rows = [
        f"| `{one['name']}` | {one['in']} | {kind(one['schema'])} | {cell(one.get('description', ''))} |"
        for one in operation.get("parameters", ())
    ]
    return ["", "| parameter | in | type | |", "|---|---|---|---|", *rows] if rows else []


def _body(operation: dict[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {})
    taken = [f"`{media}` ({kind(about.get('schema', {}))})" for media, about in content.items()]
    return ["", f"Takes {', '.join(taken)}."] if taken else []


def _answer(status: str, answer: dict[str, Any]) -> str:
    bodies = [f"`{media}` {kind(about.get('schema', {}))}" for media, about in answer.get("content", {}).items()]
    headers = ", ".join(f"`{name}`" for name in answer.get("headers", {}))
    return f"| {status} | {cell(answer['description'])} | {'<br>'.join(bodies)} | {headers} |"


def _structure(name: str, shape: dict[str, Any]) -> str:
    head = f"### {name}\n\n{cell(shape.get('description', ''))}\n"
    rows = [f"| `{field}` | {what} | {needed} | {text} |" for field, what, needed, text in fields(shape)]
    return "\n".join([head, "| field | type | | |", "|---|---|---|---|", *rows]) + "\n" if rows else head


if __name__ == "__main__":
    sys.stdout.write(reference())
