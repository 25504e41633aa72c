"""Numbers, times and ids as the console's templates write them; `static/console/words.js` does so in the browser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from config.tenants import told

NOTHING: Final = "–"
_DAY_S: Final = 86_400
_SCALES: Final = ((3600, 60, "min", 1, "s"), (_DAY_S, 3600, "h", 60, "min"))
_DAYS: Final = (_DAY_S, "d", 3600, "h")


def number(value: float | None, digits: int = 0) -> str:
    """With a comma between thousands.

    >>> number(12345.678, 1), number(None)
    ('12,345.7', '–')
    """
    return NOTHING if value is None else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share, 0 to 1.

    >>> percent(0.1234)
    '12.3%'
    """
    return NOTHING if value is None else f"{100 * value:.{digits}f}%"


def duration(seconds: float | None) -> str:
    """A length of time in the unit that fits it.

    >>> [duration(s) for s in (0.004, 1.25, 75, 7500, 200000)]
    ['4 ms', '1.2 s', '1 min 15 s', '2 h 5 min', '2 d 7 h']
    """
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    size, unit, part, name = next(scale for scale in _SCALES if seconds < scale[0])[1:] if seconds < _DAY_S else _DAYS
    return f"{int(seconds // size)} {unit} {int(seconds % size // part)} {name}"


def milliseconds(value: float | None) -> str:
    """Milliseconds, with a decimal where it matters; seconds from a thousand on.

    >>> milliseconds(4.26), milliseconds(126.4), milliseconds(1250.0)
    ('4.3 ms', '126 ms', '1.2 s')
    """
    if value is None:
        return NOTHING
    return f"{value:.{1 if 0 < value < 10 else 0}f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def moment(value: datetime | str | None) -> str:
    """A time in UTC, to the second.

    >>> moment("2026-03-01T12:00:00.123Z")
    '2026-03-01 12:00:00'
    """
    if not value:
        return NOTHING
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def money(value: float | None) -> str:
    """An amount with two decimals; the schema knows no single currency."""
    return number(value, 2)


def to_four_digits(value: float | None) -> str:
    """A figure of whatever size, to four digits.

    >>> [to_four_digits(v) for v in (0.123456, 1234567.0, 7.0, None)]
    ['0.1235', '1,234,567', '7', 'unknown']
    """
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def plain(value: Any) -> str:
    """A value of a transaction, whatever its type."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def encoded(value: Any) -> str:
    """JSON for an attribute that a page's script reads; the template escapes it."""
    return msgspec.json.encode(value).decode()


def spoken(name: str) -> str:
    """A name of the code in words: `time_since_last` is "time since last"."""
    return name.replace("_", " ")


FILTERS: Final[dict[str, Callable[..., str]]] = {
    "number": number,
    "percent": percent,
    "duration": duration,
    "milliseconds": milliseconds,
    "moment": moment,
    "money": money,
    "to_four_digits": to_four_digits,
    "plain": plain,
    "encoded": encoded,
    "spoken": spoken,
    "told": told,
}
