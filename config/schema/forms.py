"""The forms in which a transaction may be sent: a field that can be derived may be replaced by its source."""

from __future__ import annotations

from typing import NamedTuple

from config.schema.model import Field, Schema


class Alternative(NamedTuple):
    """Fields that must be sent unless `source`, from which they can be derived, is."""

    source: str
    fields: tuple[str, ...]


def alternatives(schema: Schema) -> tuple[Alternative, ...]:
    """The required fields that can be derived, by what they are derived from, in file order."""
    groups: dict[str, list[str]] = {}
    for field in schema.fields:
        if field.required and field.derived:
            groups.setdefault(derivation_source(schema, field), []).append(field.name)
    return tuple(Alternative(source, tuple(names)) for source, names in groups.items())


def derivation_source(schema: Schema, field: Field) -> str:
    """The field without which `field` cannot be derived. Raises KeyError when it has no derivation."""
    if field.derived and field.derived.entity:
        return schema.entity_field(field.derived.entity)
    if field.derived and field.derived.since:
        return field.derived.since
    if field.derived and schema.roles.event_time:
        return schema.roles.event_time
    raise KeyError(field.name)
