"""Inserts many rows in one statement, without SQLAlchemy's per-row work: that is most of the time otherwise.

SQLite gets one `executemany`. PostgreSQL gets the whole batch as one JSON parameter: psycopg parses a statement
of 20,000 parameters, or quotes arrays of text, for longer than the server takes to insert the rows.
docs/ledger.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import JSON, Column, Connection, LargeBinary, Table
from sqlalchemy.dialects import postgresql

from ml.ledger.columns import UtcDateTime, to_text

Row = dict[str, Any]
Converter = Callable[[Any], Any]


def insert_new(connection: Connection, into: Table, rows: Sequence[Row], conflict_on: tuple[str, ...]) -> int:
    """INSERT .. ON CONFLICT DO NOTHING of any number of rows; returns how many were new.

    `rows` name every column but the row number; their times are aware. A conflict on other columns than
    `conflict_on` is an error.
    """
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        done = connection.exec_driver_sql(*_for_sqlite(into, rows, conflict_on))
    else:
        done = connection.exec_driver_sql(*_for_postgres(into, rows, conflict_on))
    return int(done.rowcount)


def _for_sqlite(into: Table, rows: Sequence[Row], conflict_on: tuple[str, ...]) -> tuple[str, list[tuple[Any, ...]]]:
    statement, pick, converters = _sqlite_statement(into, conflict_on)
    return statement, [_converted(pick(row), converters) for row in rows]


def _converted(values: tuple[Any, ...], converters: Sequence[tuple[int, Converter]]) -> tuple[Any, ...]:
    changed = list(values)
    for place, convert in converters:
        changed[place] = convert(values[place])
    return tuple(changed)


@cache
def _sqlite_statement(
    into: Table, conflict_on: tuple[str, ...]
) -> tuple[str, Callable[[Row], tuple[Any, ...]], list[tuple[int, Converter]]]:
    """The statement, what takes a row's values in its order, and the places whose values it takes in another form."""
    columns = _written(into)
    marks = ", ".join("?" * len(columns))
    found = [(place, _sqlite_converter(column)) for place, column in enumerate(columns)]
    converters = [(place, convert) for place, convert in found if convert is not None]
    into_values = f"INSERT INTO {_target(into)} VALUES ({marks})"  # noqa: S608 - our own names
    return f"{into_values} {_on_conflict(conflict_on)}", itemgetter(*(c.name for c in columns)), converters


def _for_postgres(into: Table, rows: Sequence[Row], conflict_on: tuple[str, ...]) -> tuple[str, tuple[str]]:
    # JSON columns travel as text within the JSON: the server refuses a NUL character anywhere else.
    encoded = [(c.name, _nullable_json) for c in _written(into) if isinstance(c.type, JSON)]
    document = [row | {name: encode(row[name]) for name, encode in encoded} for row in rows]
    return _postgres_statement(into, conflict_on), (_to_json(document),)


@cache
def _postgres_statement(into: Table, conflict_on: tuple[str, ...]) -> str:
    columns = _written(into)
    names = ", ".join(_postgres_source(column) for column in columns)
    types = ", ".join(f"{column.name} {_postgres_wire_type(column)}" for column in columns)
    source = f"SELECT {names} FROM json_to_recordset(%s::json) AS new ({types})"  # noqa: S608 - own names
    return f"INSERT INTO {_target(into)} {source} {_on_conflict(conflict_on)}"


def _written(table: Table) -> list[Column[Any]]:
    """Every column but the row number, which the database gives out."""
    return [column for column in table.columns if column.autoincrement is not True]


def _target(table: Table) -> str:
    return f"{table.name} ({', '.join(column.name for column in _written(table))})"


def _on_conflict(columns: tuple[str, ...]) -> str:
    return f"ON CONFLICT ({', '.join(columns)}) DO NOTHING"


def _postgres_source(column: Column[Any]) -> str:
    if isinstance(column.type, LargeBinary):
        return f"decode({column.name}, 'base64')"  # as msgspec writes bytes
    return f"{column.name}::json" if isinstance(column.type, JSON) else column.name


def _postgres_wire_type(column: Column[Any]) -> str:
    if isinstance(column.type, LargeBinary | JSON):
        return "text"
    return str(column.type.compile(postgresql.dialect()))  # type: ignore[no-untyped-call]


def _sqlite_converter(column: Column[Any]) -> Converter | None:
    if isinstance(column.type, UtcDateTime):
        return _sqlite_time
    if isinstance(column.type, JSON):
        return _nullable_json if column.nullable else _to_json
    return None


# The rows of a chunk share their times, and formatting one costs more than SQLite's insert.
@lru_cache(maxsize=1024)
def _sqlite_time(moment: datetime) -> str:
    return to_text(moment.astimezone(UTC))


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _nullable_json(value: object) -> str | None:
    return None if value is None else _to_json(value)
