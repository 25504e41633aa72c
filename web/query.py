"""Query parameters, read strictly: an unknown name, a repeated one or a bad value is a 422 that names it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

from config.errors import FieldError, InvalidRequest

LAST_CURSOR: Final = 2**53
"""The largest row id that a cursor may name: beyond it JSON's numbers are no longer exact."""
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


def parse_query(query: str, allowed: Collection[str]) -> dict[str, str]:
    """The parameters by name.

    Raises:
        InvalidRequest: a name that is not in `allowed`, one that is given twice, or far too many.
    """
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise InvalidRequest("the query string has too many parameters") from error
    for name, value in pairs:
        if name not in allowed:
            raise refused(name, "unknown_parameter", f"unknown; allowed are {', '.join(sorted(allowed))}")
        if name in found:
            raise refused(name, "repeated_parameter", "given more than once")
        found[name] = value
    return found


def flag(query: Mapping[str, str], name: str) -> bool | None:
    """`true` or `false`, in any case, or 1 or 0; None when absent. Raises InvalidRequest."""
    value = query.get(name)
    if value is None:
        return None
    if value.lower() not in _FLAGS:
        raise refused(name, "not_a_boolean", f"must be true or false, got {value[:40]!r}")
    return _FLAGS[value.lower()]


def number(query: Mapping[str, str], name: str, *, default: float, low: float, high: float) -> float:
    """A finite number in [low, high]. Raises InvalidRequest."""
    value = query.get(name)
    if value is None:
        return default
    try:
        parsed = float(value)
    except ValueError:
        parsed = math.nan
    if not low <= parsed <= high:
        raise refused(name, "out_of_bounds", f"must be a number from {low:g} to {high:g}, got {value[:40]!r}")
    return parsed


def whole(query: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    """A whole number in [low, high]. Raises InvalidRequest."""
    value = query.get(name)
    if value is None:
        return default
    is_whole = value.isascii() and value.isdigit() and len(value) < 20
    if not (is_whole and low <= int(value) <= high):
        raise refused(name, "out_of_bounds", f"must be a whole number from {low} to {high}, got {value[:40]!r}")
    return int(value)


def moment(query: Mapping[str, str], name: str) -> datetime | None:
    """An RFC 3339 time with its zone; None when absent. Raises InvalidRequest."""
    value = query.get(name)
    return None if value is None else aware_time(value, name)


def aware_time(value: str, name: str) -> datetime:
    """Parse an RFC 3339 time. Raises InvalidRequest when it is none, or has no zone."""
    try:
        # A "+" that was not percent-encoded arrives as a space.
        parsed = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise refused(name, "not_a_time", f"must be an RFC 3339 time with a zone, got {value[:40]!r}")
    return parsed


def refused(name: str, code: str, message: str) -> InvalidRequest:
    """The error for one parameter."""
    return InvalidRequest(f"{name}: {message}", errors=(FieldError(f"?{name}", code, message),))
