"""From the parsed TOML document to the frozen objects, table by table.

`config.schema.rules` then checks what concerns several tables at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from config.schema.lines import Path
from config.schema.model import (
    MODEL_TYPES,
    Aggregate,
    CalendarPart,
    Derivation,
    Field,
    FieldType,
    HistoryFeature,
    Roles,
    Schema,
)
from config.schema.problems import Problems
from config.schema.tables import choose, take

FIELD_TYPES: tuple[str, ...] = get_args(FieldType)
AGGREGATES: tuple[str, ...] = get_args(Aggregate)
CALENDAR_PARTS: tuple[str, ...] = get_args(CalendarPart)
DEFAULT_MAX_LENGTH = {"category": 64, "id": 128, "string": 1024}

SCHEMA_KEYS = {
    "name": "text", "version": "integer", "description": "text", "unknown_fields": "text",
    "mask_history_share": "number", "roles": "table", "fields": "table", "features": "table",
}  # fmt: skip
FIELD_KEYS = {
    "type": "text", "min": "number", "max": "number", "max_length": "integer", "unit": "text",
    "required": "switch", "missing": "switch", "description": "text", "example": "any",
    "derived": "table", "model": "switch",
    "format": "text", "naive": "text",
}  # fmt: skip
DERIVED_KEYS = {"calendar": "text", "entity": "text", "aggregate": "text", "of": "text", "since": "text"}
ROLE_KEYS = {
    "amount": "text", "event_time": "text", "transaction_id": "text", "label": "text", "entities": "table",
}  # fmt: skip
FEATURE_KEYS = {
    "entity": "text", "aggregate": "text", "window": "duration", "delay": "duration", "of": "text",
    "unit": "text", "default": "number", "description": "text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UnreadFeature:
    """What is known of a feature without an entity or a known aggregate."""

    name: str
    entity: str | None
    of: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A schema as far as it could be read. `declared`: every field name in the file, readable or not."""

    schema: Schema
    declared: tuple[str, ...]
    unread: tuple[UnreadFeature, ...] = ()


def read_document(document: dict[str, Any], problems: Problems) -> Draft:
    """Read everything that can be read and note the rest as problems."""
    top = take(document, (), SCHEMA_KEYS, problems)
    for key in ("name", "fields"):
        if key not in document:
            problems.add((), "missing_key", f'the schema has no "{key}"')
    fields = [read_field(name, table, problems) for name, table in _tables(top, "fields", problems)]
    features = [read_feature(name, table, problems) for name, table in _tables(top, "features", problems)]
    policy = choose(top, "unknown_fields", ("refuse", "ignore"), (), problems)
    whole = tuple(field for field in fields if field)
    schema = Schema(
        name=top.get("name", ""),
        version=top.get("version", 1),
        fields=whole,
        roles=_read_roles(top.get("roles", {}), problems),
        features=tuple(feature for feature in features if isinstance(feature, HistoryFeature)),
        unknown_fields="ignore" if policy == "ignore" else "refuse",
        mask_history_share=top.get("mask_history_share", 0.0),
        description=top.get("description", ""),
        by_name={field.name: field for field in whole},
    )
    unread = tuple(feature for feature in features if isinstance(feature, UnreadFeature))
    return Draft(schema, tuple(top.get("fields", {})), unread)


def read_field(name: str, table: dict[str, Any], problems: Problems) -> Field | None:
    """One `[fields.NAME]`; None when not even its type is known."""
    path = ("fields", name)
    taken = take(table, path, FIELD_KEYS, problems)
    if "type" not in table:
        problems.add(path, "missing_key", f'field "{name}" has no type (one of {", ".join(FIELD_TYPES)})')
    kind = choose(taken, "type", FIELD_TYPES, path, problems)
    _check_order(taken, path, problems)
    if kind is None:
        return None
    nullable = taken.get("missing", False)
    return Field(
        name=name,
        type=kind,  # type: ignore[arg-type]  # one of FIELD_TYPES
        min=taken.get("min"),
        max=taken.get("max"),
        max_length=taken.get("max_length", DEFAULT_MAX_LENGTH.get(kind)),
        unit=taken.get("unit"),
        required=taken.get("required", not nullable),
        nullable=nullable,
        description=taken.get("description", ""),
        example=taken.get("example"),
        derived=_read_derivation(taken["derived"], path, problems) if "derived" in taken else None,
        model=taken.get("model", kind in MODEL_TYPES),
        format=taken.get("format", "rfc3339"),
        naive="utc" if choose(taken, "naive", ("refuse", "utc"), path, problems) == "utc" else "refuse",
        line=problems.line(path),
    )


def _check_order(taken: dict[str, Any], path: Path, problems: Problems) -> None:
    low, high = taken.get("min"), taken.get("max")
    if low is not None and high is not None and low > high:
        problems.add((*path, "min"), "bad_bounds", f'"min" ({low:g}) is above "max" ({high:g})')


def read_feature(name: str, table: dict[str, Any], problems: Problems) -> HistoryFeature | UnreadFeature:
    """One `[features.NAME]`; only the names in it without an entity and a known aggregate."""
    path = ("features", name)
    taken = take(table, path, FEATURE_KEYS, problems)
    for key in ("entity", "aggregate"):
        if key not in table:
            problems.add(path, "missing_key", f'feature "{name}" has no "{key}"')
    aggregate = choose(taken, "aggregate", AGGREGATES, path, problems)
    if aggregate is None or "entity" not in taken:
        return UnreadFeature(name, taken.get("entity"), taken.get("of"))
    return HistoryFeature(
        name=name,
        entity=taken["entity"],
        aggregate=aggregate,  # type: ignore[arg-type]  # one of AGGREGATES
        window_s=taken.get("window"),
        delay_s=taken.get("delay", 0.0),
        of=taken.get("of"),
        unit=taken.get("unit"),
        default=taken.get("default"),
        description=taken.get("description", ""),
        line=problems.line(path),
    )


def _read_derivation(table: dict[str, Any], field_path: Path, problems: Problems) -> Derivation | None:
    """None when one of its words is unknown: that has been said, and what would follow from it is not a mistake."""
    path = (*field_path, "derived")
    taken = take(table, path, DERIVED_KEYS, problems)
    calendar = choose(taken, "calendar", CALENDAR_PARTS, path, problems)
    aggregate = choose(taken, "aggregate", AGGREGATES, path, problems)
    if (calendar is None and "calendar" in taken) or (aggregate is None and "aggregate" in taken):
        return None
    return Derivation(
        calendar=calendar,  # type: ignore[arg-type]  # one of CALENDAR_PARTS
        entity=taken.get("entity"),
        aggregate=aggregate,  # type: ignore[arg-type]  # one of AGGREGATES
        of=taken.get("of"),
        since=taken.get("since"),
    )


def _read_roles(table: dict[str, Any], problems: Problems) -> Roles:
    taken = take(table, ("roles",), ROLE_KEYS, problems)
    entities = taken.pop("entities", {})
    named = take(entities, ("roles", "entities"), dict.fromkeys(entities, "text"), problems)
    return Roles(**taken, entities=tuple(named.items()))


def _tables(top: dict[str, Any], key: str, problems: Problems) -> list[tuple[str, dict[str, Any]]]:
    entries = top.get(key, {})
    return list(take(entries, (key,), dict.fromkeys(entries, "table"), problems).items())
