"""The schema as JSON Schema 2020-12 (which is what OpenAPI 3.1 speaks) and as example transactions.

`web.openapi` embeds the fragments; the same documents pass both these and `config.schema.validate`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from config.schema.checks import integer_bounds
from config.schema.forms import Alternative, alternatives
from config.schema.model import Field, Schema
from config.schema.times import EARLIEST_S, LATEST_S, NAIVE_PATTERN, RFC3339_PATTERN, unix_scale

_TYPES: dict[str, str | list[str]] = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "category": "string",
    "string": "string",
    "id": ["string", "integer"],
    "timestamp": "string",
}
_SAMPLES: dict[str, object] = {"boolean": False, "category": "other", "id": "id-1", "string": "text"}


def json_schema(schema: Schema) -> dict[str, Any]:
    """The JSON Schema of one transaction.

    It says all that the validator checks, except what JSON Schema cannot: an integer is 3 or 3.0 to it (ids
    take only 3), a date may be 30 February, and keys may not come twice.
    """
    document: dict[str, Any] = {
        "type": "object",
        "title": schema.name,
        "properties": {field.name: field_schema(field) for field in schema.fields},
        "required": [field.name for field in schema.fields if field.required and not field.derived],
        "additionalProperties": schema.unknown_fields == "ignore",
        "examples": list(examples(schema).values()),
    }
    if schema.description:
        document["description"] = schema.description
    if choices := [_either(schema, one) for one in alternatives(schema)]:
        document["allOf"] = choices
    return document


def field_schema(field: Field) -> dict[str, Any]:
    """The JSON Schema of one field."""
    is_unix = field.type == "timestamp" and field.format == "unix"
    kind = "number" if is_unix else _TYPES[field.type]
    kinds = kind if isinstance(kind, list) else [kind]
    document: dict[str, Any] = {"type": [*kinds, "null"] if field.nullable else kind}
    document.update(_bounds(field))
    if text := _description(field):
        document["description"] = text
    document["examples"] = [example_value(field)]
    return document


def example(schema: Schema) -> dict[str, Any]:
    """A valid transaction in its first form: every required field, nothing derived."""
    return {field.name: example_value(field) for field in schema.fields if field.required}


def examples(schema: Schema) -> dict[str, dict[str, Any]]:
    """A valid transaction in each form: `fields` sends what can be derived, `history` what to derive from."""
    forms = {"fields": example(schema)}
    if sources := {one.source for one in alternatives(schema)}:
        kept = sources | {name for _, name in schema.roles.entities} | {schema.roles.transaction_id}
        forms["history"] = {
            field.name: example_value(field)
            for field in schema.fields
            if field.name in kept or (field.required and not field.derived)
        }
    return forms


def example_value(field: Field) -> Any:
    """The field's own example, else a value inside its bounds."""
    if field.example is not None:
        return field.example
    if field.type in ("number", "integer"):
        return _example_number(field)
    if field.type == "timestamp":
        return _example_time(field)
    value = _SAMPLES[field.type]
    return value[: field.max_length] if isinstance(value, str) else value


def _bounds(field: Field) -> dict[str, Any]:
    if field.type == "timestamp":
        return _time_bounds(field)
    if field.type == "number":
        named = (("minimum", field.min), ("maximum", field.max))
        return {name: _plain(bound) for name, bound in named if bound is not None}
    if field.type == "integer":
        low, high = integer_bounds(field)
        return {"minimum": _plain(low), "maximum": _plain(high)}
    return _text_bounds(field) | (_id_bounds(field) if field.type == "id" else {})


def _id_bounds(field: Field) -> dict[str, Any]:
    """Bounds of ids sent as numbers: 64 bits, and no more characters than a text may have."""
    low, high = integer_bounds(field)
    digits = field.max_length or 20
    return {"minimum": max(int(low), 1 - 10 ** (digits - 1)), "maximum": min(int(high), 10**digits - 1)}


def _text_bounds(field: Field) -> dict[str, Any]:
    if field.type == "boolean":
        return {}
    bounds: dict[str, Any] = {} if field.type == "string" else {"minLength": 1}
    refused = r"\u0000" if field.type == "string" else r"\u0000-\u001f\u007f-\u009f"
    return {**bounds, "maxLength": field.max_length, "pattern": f"^[^{refused}]*$"}


def _time_bounds(field: Field) -> dict[str, Any]:
    if field.format == "unix":
        scale = unix_scale(field)
        return {"minimum": EARLIEST_S / scale, "maximum": LATEST_S / scale}
    if field.format != "rfc3339":
        return {"minLength": 1}
    if field.naive == "utc":
        return {"pattern": NAIVE_PATTERN}
    return {"format": "date-time", "pattern": RFC3339_PATTERN}


def _either(schema: Schema, one: Alternative) -> dict[str, Any]:
    """Either the fields themselves are sent, or what they are derived from."""
    source: dict[str, Any] = {"required": [one.source]}
    if schema.by_name[one.source].nullable:
        source["properties"] = {one.source: {"not": {"type": "null"}}}
    return {"anyOf": [{"required": list(one.fields)}, source]}


def _description(field: Field) -> str:
    parts = [field.description]
    if field.unit:
        parts.append(f"Unit: {field.unit}.")
    if field.type == "timestamp" and "%" in field.format:
        parts.append(f"Format: {field.format} (strptime).")
    if field.derived:
        parts.append("Derived when it is not sent but what it is derived from is.")
    return " ".join(part for part in parts if part)


def _example_number(field: Field) -> float:
    low = field.min if field.min is not None else min(0.0, field.max or 0.0)
    high = field.max if field.max is not None else low + 100.0
    middle = low + (high - low) / 2
    return int(low) if field.type == "integer" else middle


def _example_time(field: Field) -> float | str:
    moment = datetime(2026, 3, 3, 3, 12, 45, tzinfo=UTC)
    if field.format == "unix":
        return moment.timestamp() / unix_scale(field)
    if field.format == "rfc3339":
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.strftime(field.format)


def _plain(bound: float) -> float:
    return int(bound) if float(bound).is_integer() else bound
