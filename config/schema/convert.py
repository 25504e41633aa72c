"""The lenient reading of training data and CSV cells, one conversion per field, compiled once.

Knows pandas and numpy scalars by their behaviour, without importing either. `config.schema.checks` is strict.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from config.schema.checks import Refused, shown
from config.schema.model import Field
from config.schema.times import seconds_from_naive, seconds_from_number, seconds_from_pattern

Conversion = Callable[[Any], Any]

MISSING_WORDS = frozenset({"", "na", "n/a", "nan", "nat", "none", "null", "-", "?", "<na>"})
TRUE_WORDS = frozenset({"true", "t", "yes", "y", "1", "1.0"})
FALSE_WORDS = frozenset({"false", "f", "no", "n", "0", "0.0"})
FRAUD_WORDS = TRUE_WORDS | {"fraud", "fraudulent", "chargeback", "bad"}
GENUINE_WORDS = FALSE_WORDS | {"genuine", "legit", "legitimate", "good", "ok", "not fraud", "non-fraud"}


def compile_conversion(field: Field) -> Conversion:
    """The conversion of one field: a cell in, a plain value out (times as Unix seconds), None if missing.

    It raises Refused for what cannot be read.
    """
    convert = _CONVERSIONS[field.type]

    def convert_cell(cell: Any) -> Any:
        value = plain(cell)
        return None if value is None else convert(value, field)

    return convert_cell


def plain(cell: Any) -> Any:
    """A cell as a plain Python value; None for None, NaN, NaT, NA and blank text."""
    kind = type(cell)
    if kind is str:
        return cell if cell.strip() else None
    if kind is float:
        return None if math.isnan(cell) else cell
    if cell is None or kind is int or kind is bool:
        return cell
    if kind.__name__ in ("NAType", "NaTType"):
        return None
    if kind.__name__ == "datetime64":
        cell = cell.astype("datetime64[us]")
    value = cell.item() if hasattr(cell, "item") else cell
    return plain(value) if type(value) in (str, float) else value


def to_label(cell: Any) -> bool | None:
    """Whether a label cell says fraud: true or false, 1 or 0, yes or no, fraud or genuine. None if missing.

    Raises:
        ValueError: it says something else.
    """
    value = plain(cell)
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in MISSING_WORDS:
        return None
    if word in FRAUD_WORDS or word in GENUINE_WORDS:
        return word in FRAUD_WORDS
    raise ValueError(f"{shown(value)} is neither fraud (1, true, yes) nor genuine (0, false, no)")


def _number(value: Any, _: Field) -> float | None:
    if isinstance(value, str) and value.strip().lower() in MISSING_WORDS:
        return None
    try:
        number = float(value) if isinstance(value, int | float | str | Decimal) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Refused("wrong_type", f"{shown(value)} is not a finite number")
    return number + 0.0


def _integer(value: Any, field: Field) -> int | float | None:
    if type(value) is int:
        return value
    number = _number(value, field)
    return int(number) if number is not None and number.is_integer() else number


def _boolean(value: Any, _: Field) -> bool | None:
    word = str(value).strip().lower()
    if word in TRUE_WORDS or word in FALSE_WORDS:
        return word in TRUE_WORDS
    if word in MISSING_WORDS:
        return None
    raise Refused("wrong_type", f"{shown(value)} is neither true nor false")


def _text(value: Any, _: Field) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _timestamp(value: Any, field: Field) -> float | None:
    try:
        return _seconds(value, field)
    except (ValueError, OverflowError):
        raise Refused("invalid_timestamp", f"{shown(value)} cannot be read as a time") from None


def _seconds(value: Any, field: Field) -> float | None:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC).timestamp()
    if field.format == "unix":
        number = _number(value, field) if not isinstance(value, bool) else None
        return None if number is None else seconds_from_number(number, field)
    if not isinstance(value, str):
        raise ValueError(value)
    text = value.strip()
    if text.lower() in MISSING_WORDS:
        return None
    if field.format != "rfc3339":
        return seconds_from_pattern(text, field.format)
    return seconds_from_naive(text.removesuffix(" UTC"))


_CONVERSIONS: dict[str, Callable[[Any, Field], Any]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "category": _text,
    "id": _text,
    "string": _text,
    "timestamp": _timestamp,
}
