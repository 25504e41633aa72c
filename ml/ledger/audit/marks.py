"""What the chain knows of one row: its number, its moment, a digest of everything that it says.

Rows are read as the driver hands them out, without the types of `tables`: decoding would cost three times the digest.
So the digests belong to the kind of database they were made on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import JSON, Column, Connection, Table

from config.tenants import DEFAULT_TENANT
from ml.ledger.columns import UtcDateTime
from ml.ledger.tables import decisions, labels, model_events


class Subject(NamedTuple):
    """A table that is chained. `moment`: its column of time; `aged_by`: the SQL that retention goes by, if another."""

    table: Table
    moment: str
    aged_by: str = ""
    is_kept_for_ever: bool = False


SUBJECTS: Final[dict[str, Subject]] = {
    "decisions": Subject(decisions, "scored_at"),
    # A label leaves with its decision, however late it came.
    "labels": Subject(
        labels,
        "received_at",
        "coalesce((SELECT d.scored_at FROM decisions d WHERE d.decision_id = labels.decision_id), received_at)",
    ),
    "model_events": Subject(model_events, "at", is_kept_for_ever=True),
}

_DIGEST_BYTES: Final = 16
_MARK: Final = struct.Struct(f"<qq{_DIGEST_BYTES}s")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class Mark(NamedTuple):
    """One row. `moment_us`: what retention goes by, microseconds since 1970. `digest`: BLAKE2b of its columns."""

    row: int
    moment_us: int
    digest: bytes


def read_marks(connection: Connection, subject: str, *, after: int, until: int, limit: int) -> list[Mark]:
    """The marks of at most `limit` rows after row `after` up to row `until`, by row number."""
    statement = _statement(subject, connection.dialect.name, "{0} > {1} AND {0} <= {1}", limit)
    return [_mark(subject, tuple(row)) for row in connection.exec_driver_sql(statement, (after, until))]


def marks_of(connection: Connection, subject: str, rows: list[int]) -> list[Mark]:
    """The marks of these rows, by row number."""
    statement = _statement(subject, connection.dialect.name, "{0} = {1}", 1)
    return [
        _mark(subject, tuple(found)) for row in sorted(rows) for found in connection.exec_driver_sql(statement, (row,))
    ]


def pack(marks: list[Mark]) -> bytes:
    """The marks as a block holds them: 32 bytes each."""
    return b"".join(_MARK.pack(*mark) for mark in marks)


def unpack(packed: bytes) -> Iterator[Mark]:
    """What `pack` was given."""
    return (Mark(*fields) for fields in _MARK.iter_unpack(packed))


def _mark(subject: str, row: tuple[Any, ...]) -> Mark:
    *columns, moment = row
    said = _encode(_said(subject, columns))
    return Mark(row[0], _microseconds(moment), blake2b(said, digest_size=_DIGEST_BYTES).digest())


def _said(subject: str, columns: list[Any]) -> list[Any]:
    """The row without its tenant where that is the default one: so rows from before there were tenants keep theirs.

    A row that is moved to another tenant, or out of one, has another digest all the same.
    """
    return columns[:-1] if subject == "decisions" and columns[-1] == DEFAULT_TENANT else columns


@lru_cache(maxsize=1024)
def _microseconds(moment: str | int) -> int:
    if isinstance(moment, int):
        return moment
    passed = datetime.fromisoformat(moment) - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


@cache
def _statement(subject: str, dialect: str, condition: str, limit: int) -> str:
    """SELECT of the row number, the time, every other column; last the moment that retention goes by."""
    table, moment, aged_by, _ = SUBJECTS[subject]
    others = [column for column in table.columns if column.name not in ("id", moment, "tenant")]
    others += [column for column in table.columns if column.name == "tenant"]  # last, where `_said` looks for it
    columns = ", ".join(_source(column, dialect) for column in (table.c.id, table.c[moment], *others))
    columns += f", {_instant(aged_by or moment, dialect)}"
    where = condition.format("id", "?" if dialect == "sqlite" else "%s")
    return f"SELECT {columns} FROM {table.name} WHERE {where} ORDER BY id LIMIT {limit}"  # noqa: S608 - our own names


def _source(column: Column[Any], dialect: str) -> str:
    if dialect == "sqlite":
        return column.name
    if isinstance(column.type, UtcDateTime):
        return _instant(column.name, dialect)
    return f"{column.name}::text" if isinstance(column.type, JSON) else column.name


def _instant(moment: str, dialect: str) -> str:
    return moment if dialect == "sqlite" else f"(extract(epoch FROM {moment}) * 1000000)::bigint"
