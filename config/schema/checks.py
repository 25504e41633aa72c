"""One strict check per field, compiled once: a value as parsed from JSON in, the normalised value out.

These run for every field of every request, so each is a closure over plain locals; only what is refused takes
the long way that finds the words.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable

from config.schema.model import Field
from config.schema.tables import show
from config.schema.times import (
    seconds_from_naive,
    seconds_from_number,
    seconds_from_pattern,
    seconds_from_rfc3339,
)

Check = Callable[[object], object]

_EXACT = 2.0**53  # every whole number up to here is a float
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


class Refused(Exception):  # an answer, not a fault
    """The value does not fit its field; `code` is stable, `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def compile_check(field: Field) -> Check:
    """The check of one field: it returns the value normalised, or raises Refused.

    Numbers come back as float, ids as str, times as Unix seconds.
    """
    check = _COMPILERS[field.type](field)
    return _or_null(check) if field.nullable else check


def integer_bounds(field: Field) -> tuple[int | float, int | float]:
    """The bounds of an integer field: the declared ones within 64 bits."""
    low = _INT_MIN if field.min is None else max(field.min, _INT_MIN)
    high = _INT_MAX if field.max is None else min(field.max, _INT_MAX)
    return low, high


def is_clean_text(value: str) -> bool:
    """Whether a text has neither control characters nor lone surrogates."""
    if value.isascii() and value.isprintable():
        return True
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def _or_null(check: Check) -> Check:
    def check_or_null(value: object) -> object:
        return None if value is None else check(value)

    return check_or_null


def _compile_number(field: Field) -> Check:
    low = -sys.float_info.max if field.min is None else field.min
    high = sys.float_info.max if field.max is None else field.max

    def check_number(value: object) -> float:
        kind = type(value)
        if (kind is float or kind is int) and low <= value <= high:  # type: ignore[operator]
            return float(value) + 0.0  # type: ignore[arg-type]  # -0.0 becomes 0.0
        raise _refused_number(value, field, "a number")

    return check_number


def _compile_integer(field: Field) -> Check:
    low, high = integer_bounds(field)

    def check_integer(value: object) -> int:
        if type(value) is int and low <= value <= high:
            return value
        if type(value) is float and value.is_integer() and low <= value <= high:
            return int(value)
        raise _refused_number(value, field, "a whole number")

    return check_integer


def _compile_boolean(_: Field) -> Check:
    def check_boolean(value: object) -> bool:
        if value is True or value is False:
            return bool(value)
        raise _refused_type(value, "true or false")

    return check_boolean


def _compile_category(field: Field) -> Check:
    longest = field.max_length or sys.maxsize

    def check_category(value: object) -> str:
        if type(value) is str and 0 < len(value) <= longest and is_clean_text(value):
            return value
        raise _refused_text(value, field, "a text")

    return check_category


def _compile_id(field: Field) -> Check:
    longest = field.max_length or sys.maxsize

    def check_id(value: object) -> str:
        if type(value) is int and _INT_MIN <= value <= _INT_MAX:
            value = str(value)
        elif type(value) is float and value.is_integer() and abs(value) <= _EXACT:
            value = str(int(value))
        if type(value) is str and 0 < len(value) <= longest and is_clean_text(value):
            return value
        raise _refused_text(value, field, "a text or a whole number")

    return check_id


def _compile_string(field: Field) -> Check:
    longest = field.max_length or sys.maxsize

    def check_string(value: object) -> str:
        if type(value) is str and len(value) <= longest and is_storable_text(value):
            return value
        raise _refused_text(value, field, "a text")

    return check_string


def _compile_timestamp(field: Field) -> Check:
    if field.format == "unix":
        return _compile_unix_time(field)
    if field.format != "rfc3339":
        return _compile_text_time(lambda text: seconds_from_pattern(text, field.format))
    return _compile_text_time(seconds_from_naive if field.naive == "utc" else seconds_from_rfc3339)


def _compile_text_time(read: Callable[[str], float]) -> Check:
    def check_time(value: object) -> float:
        if type(value) is not str:
            raise _refused_type(value, "a date-time in quotes")
        try:
            return read(value)
        except ValueError as error:
            raise Refused("invalid_timestamp", f"{shown(value)} {error}") from None

    return check_time


def _compile_unix_time(field: Field) -> Check:
    def check_unix_time(value: object) -> float:
        if type(value) is not float and type(value) is not int:
            raise _refused_type(value, "a number (a time)")
        try:
            return seconds_from_number(value, field)
        except (ValueError, OverflowError):
            raise Refused("invalid_timestamp", f"{shown(value)} is outside the years 1 to 9999") from None

    return check_unix_time


_COMPILERS: dict[str, Callable[[Field], Check]] = {
    "number": _compile_number,
    "integer": _compile_integer,
    "boolean": _compile_boolean,
    "category": _compile_category,
    "id": _compile_id,
    "string": _compile_string,
    "timestamp": _compile_timestamp,
}


def shown(value: object) -> str:
    """A short, printable rendering of a refused value."""
    if isinstance(value, list | tuple | dict):
        return "a list or an object"
    if isinstance(value, int) and not _INT_MIN <= value <= _INT_MAX:
        return "a number of more than 64 bits"
    text = show(value)
    return text if text.isprintable() else ascii(text)[1:-1][:60]


def _refused_type(value: object, wanted: str) -> Refused:
    if value is None:
        return Refused("null_not_allowed", f"must be {wanted}, not null")
    hint = " (numbers are not quoted)" if isinstance(value, str) and "number" in wanted else ""
    return Refused("wrong_type", f"must be {wanted}, not {shown(value)}{hint}")


def _refused_number(value: object, field: Field, wanted: str) -> Refused:
    if type(value) not in (int, float):
        return _refused_type(value, wanted)
    if not -sys.float_info.max <= value <= sys.float_info.max:  # type: ignore[operator]
        return Refused("not_finite", f"must be {wanted} that is finite and fits in 64 bits")
    low, high = (field.min, field.max) if field.type == "number" else integer_bounds(field)
    if low is not None and value < low:  # type: ignore[operator]
        return Refused("out_of_bounds", f"must be at least {_plain(low)}, not {shown(value)}")
    if high is not None and value > high:  # type: ignore[operator]
        return Refused("out_of_bounds", f"must be at most {_plain(high)}, not {shown(value)}")
    return _refused_type(value, wanted)


def _refused_text(value: object, field: Field, wanted: str) -> Refused:
    if type(value) is int and field.type == "id":
        return Refused("out_of_bounds", "a whole number here must fit in 64 bits; send longer ids in quotes")
    if not isinstance(value, str):
        return _refused_type(value, wanted)
    if not value:
        return Refused("empty", "must not be empty")
    if field.max_length is not None and len(value) > field.max_length:
        return Refused("too_long", f"must be at most {field.max_length} characters, not {len(value)}")
    return Refused("bad_characters", "must not hold control characters or lone surrogates")


def is_storable_text(value: str) -> bool:
    """Whether databases take the text: no NUL, no lone surrogates."""
    if "\0" in value:
        return False
    if value.isascii():
        return True
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _plain(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) and abs(bound) < 1e15 else str(bound)
