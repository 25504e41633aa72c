"""Column types that SQLite and PostgreSQL store and sort alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String
from sqlalchemy.types import TypeDecorator, TypeEngine

BigId = BigInteger().with_variant(Integer, "sqlite")
"""64-bit row number; SQLite grows it by itself only when the column is declared INTEGER."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored in UTC: `timestamptz` in PostgreSQL, sortable text in SQLite.

    The text is `2026-11-23T22:51:16.000000Z`: fixed width, so that it sorts and compares as time does, and
    SQLite's own date functions read it. A naive datetime is refused with ValueError: it could mean anything.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(27))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        moment = require_aware(value).astimezone(UTC)
        return to_text(moment) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


def require_aware(moment: datetime) -> datetime:
    """The same moment. Raises ValueError when it has no time zone."""
    if moment.utcoffset() is None:
        raise ValueError(f"{moment!r} has no time zone; give an aware datetime, best in UTC")
    return moment


def to_text(moment: datetime) -> str:
    """A UTC moment as sortable text of fixed width.

    >>> to_text(datetime(2026, 11, 23, 22, 51, 16, tzinfo=UTC))
    '2026-11-23T22:51:16.000000Z'
    """
    return moment.isoformat(timespec="microseconds")[:26] + "Z"
