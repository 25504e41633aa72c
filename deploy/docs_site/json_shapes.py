"""JSON Schema in a few words, for cells of Markdown tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

STRUCTURES = "#/components/schemas/"
BOUNDS = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("maxLength", "at most"))
LARGEST = 2**63 - 1  # a bound of 64-bit integers is said by their type


def kind(shape: dict[str, Any]) -> str:
    """What values a schema allows: a link to its structure, its choices, or its type with bounds."""
    if "$ref" in shape:
        name = shape["$ref"].removeprefix(STRUCTURES)
        return f"[{name}](#{name.lower()})"
    either = shape.get("anyOf") or shape.get("oneOf")
    if either and all("type" in one or "$ref" in one or "enum" in one for one in either):
        return " or ".join(dict.fromkeys(kind(one) for one in either))
    choices = shape.get("enum") or ([shape["const"]] if "const" in shape else None)
    if choices:
        return ", ".join(f"`{json.dumps(one)}`" for one in choices)
    return _typed(shape)


def _typed(shape: dict[str, Any]) -> str:
    types = shape.get("type", "anything")
    names = [types] if isinstance(types, str) else types
    if names == ["array"]:
        return f"list of {kind(shape.get('items', {}))}"
    if names == ["object"] and isinstance(shape.get("additionalProperties"), dict):
        return f"object of {kind(shape['additionalProperties'])}"
    bounds = [f"{word} {shape[key]}" for key, word in BOUNDS if abs(shape.get(key, LARGEST)) < LARGEST]
    return ", ".join([" or ".join(names) + (f" ({shape['format']})" if "format" in shape else ""), *bounds])


def fields(shape: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Name, kind, `required` or nothing, description of each field of an object."""
    required = set(shape.get("required", ()))
    for name, field in shape.get("properties", {}).items():
        yield name, kind(field), "required" if name in required else "", cell(field.get("description", ""))


def cell(text: str) -> str:
    """A text that a cell can hold: one line, nothing in it that ends the cell."""
    return " ".join(text.replace("|", r"\|").replace("<", "&lt;").split())
