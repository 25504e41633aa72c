"""Timestamps as clients send them -> Unix seconds; strict, where `config.schema.convert` is lenient."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from config.schema.model import TIME_UNITS_S, Field

EARLIEST_S = -62_135_596_800.0
LATEST_S = 253_402_300_799.0
"""The years 1 to 9999, as Unix seconds."""

_DATE = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_MINUTES = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_OFFSET = rf"(?:[Zz]|[+-]{_MINUTES})"
RFC3339_PATTERN = rf"^{_DATE}[Tt ]{_MINUTES}:[0-5][0-9](?:\.[0-9]{{1,9}})?{_OFFSET}$"
NAIVE_PATTERN = rf"^{_DATE}(?:[Tt ]{_MINUTES}(?::[0-5][0-9](?:\.[0-9]{{1,9}})?)?{_OFFSET}?)?$"

_TRIED = datetime(2026, 11, 25, 21, 43, 59, 123456, tzinfo=UTC)

_RFC3339 = re.compile(RFC3339_PATTERN)
_NAIVE = re.compile(NAIVE_PATTERN)


def seconds_from_rfc3339(text: str) -> float:
    """Unix seconds of a date-time with an offset. Raises ValueError, whose message says what to send."""
    if len(text) > 40 or not _RFC3339.fullmatch(text):
        if len(text) <= 40 and _NAIVE.fullmatch(text):
            raise ValueError("has no time or no offset from UTC; send one such as 2026-03-01T09:30:00Z")
        raise ValueError("is not an RFC 3339 date-time such as 2026-03-01T09:30:00Z")
    return _in_range(datetime.fromisoformat(text.upper()))


def seconds_from_naive(text: str) -> float:
    """Unix seconds of a date or date-time; one without an offset is UTC. Raises ValueError."""
    if len(text) > 40 or not _NAIVE.fullmatch(text):
        raise ValueError("is not a date-time such as 2026-03-01T09:30:00 (taken as UTC) or 2026-03-01T09:30:00Z")
    return _in_range(datetime.fromisoformat(text.upper()))


def seconds_from_pattern(text: str, pattern: str) -> float:
    """Unix seconds of a text in a strptime pattern; one without an offset is UTC. Raises ValueError."""
    try:
        return _in_range(datetime.strptime(text, pattern))  # noqa: DTZ007  # _in_range adds UTC
    except (ValueError, OverflowError, re.error):
        raise ValueError(f'is not a date-time in the format "{pattern}"') from None


def can_be_read_back(pattern: str) -> bool:
    """Whether a time written in a strptime pattern is read again, in its own year: `%Q` is not, nor is `%H:%M`."""
    try:
        read = datetime.strptime(_TRIED.strftime(pattern), pattern)  # noqa: DTZ007  # only its year is looked at
    except (ValueError, OverflowError, re.error):
        return False
    return read.year == _TRIED.year


def seconds_from_number(value: float, field: Field) -> float:
    """Unix seconds of a number in the field's unit (seconds when it has none). Raises ValueError."""
    scale = unix_scale(field)
    if not EARLIEST_S <= value * scale <= LATEST_S:
        raise ValueError("is outside the years 1 to 9999")
    return float(value) * scale


def unix_scale(field: Field) -> float:
    """Seconds per unit of a time sent as a number."""
    return TIME_UNITS_S[field.unit] if field.unit else 1.0


def _in_range(moment: datetime) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = aware.timestamp()
    if not EARLIEST_S <= seconds <= LATEST_S:
        raise ValueError("is outside the years 1 to 9999")
    return seconds
