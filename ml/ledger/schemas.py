"""Remembers the schemas that decisions were made under, so that their values can still be read later."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from config.schema.model import Schema
from ml.ledger.tables import schemas


class _Layout(NamedTuple):
    field_names: tuple[str, ...]
    entities: dict[str, int]


class SchemaBook:
    """Schema digest -> field names and where the entities are: of today's schema, and of all recorded ones.

    `is_recorded`: today's schema is in the table, or there is none; whoever commits `record` sets it.
    """

    def __init__(self, schema: Schema | None) -> None:
        self._schema = schema
        self.is_recorded = schema is None
        self._known: dict[str, _Layout] = {}
        if schema is not None:
            self._known[schema.digest] = _layout_of(schema)

    def record(self, connection: Connection, *, now: datetime) -> None:
        """Write today's schema; does nothing without one, or when it is there."""
        if self._schema is None:
            return
        layout = self._known[self._schema.digest]
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(
            dialect.insert(schemas).on_conflict_do_nothing(),
            {
                "digest": self._schema.digest,
                "name": self._schema.name,
                "version": self._schema.version,
                "field_names": layout.field_names,
                "entities": layout.entities,
                "recorded_at": now,
            },
        )

    def positions(self, connection: Connection, digest: str) -> dict[str, int]:
        """Entity name -> position of its field; empty when the schema is unknown."""
        layout = self._layout(connection, digest)
        return {} if layout is None else layout.entities

    def field_names(self, connection: Connection, digest: str) -> tuple[str, ...] | None:
        """The names of the fields in file order; None when the schema is unknown."""
        layout = self._layout(connection, digest)
        return None if layout is None else layout.field_names

    def _layout(self, connection: Connection, digest: str) -> _Layout | None:
        if digest not in self._known:
            row = connection.execute(select(schemas).where(schemas.c.digest == digest)).first()
            if row is None:
                return None
            self._known[digest] = _Layout(tuple(row.field_names), dict(row.entities))
        return self._known[digest]


def _layout_of(schema: Schema) -> _Layout:
    names = tuple(field.name for field in schema.fields)
    return _Layout(names, {entity: names.index(field) for entity, field in schema.roles.entities})
