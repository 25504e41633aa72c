"""A request body -> the key-value pairs of its one JSON object, as sent, duplicates included.

The standard library's scanner is used because it can show duplicate keys; faster parsers drop them silently.
"""

from __future__ import annotations

import json
import math
from typing import Any

from config.errors import MalformedBody

MAX_OPENED = 400
"""Lists and objects that a body may open: the scanner recurses, on threads whose stacks may be small."""

_BOM = b"\xef\xbb\xbf"
_WHITESPACE = " \t\n\r"


class Pairs(list[tuple[str, Any]]):
    """The content of a JSON object in the order in which it was sent."""


def _tolerant_int(digits: str) -> int | float:
    """Integers too long for `int()` become infinity, which the field's check refuses by name."""
    return int(digits) if len(digits) <= 400 else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


# `scan_once` is an attribute of every decoder that the type stubs leave out.
_scan = json.JSONDecoder(object_pairs_hook=Pairs).scan_once  # type: ignore[attr-defined]
_scan_tolerant = json.JSONDecoder(  # type: ignore[attr-defined]
    object_pairs_hook=Pairs, parse_int=_tolerant_int
).scan_once


def read_pairs(body: bytes) -> Pairs:
    """The pairs of the object that `body` holds.

    NaN and Infinity come through as floats: the checks of their fields refuse them by name.

    Raises:
        MalformedBody: empty, not UTF-8, not JSON, nested too deep, or not an object.
    """
    if body.count(b"{") + body.count(b"[") > MAX_OPENED and _opened(body) > MAX_OPENED:
        raise MalformedBody(
            f"The body opens more than {MAX_OPENED} lists or objects; a transaction is one flat object."
        )
    text = _decode(body)
    try:
        value, end = _scan(text, 0)
    except ValueError as error:
        value, end = _scan_carefully(text, error)
    except StopIteration as stop:
        raise _not_json(text, stop.value) from None
    except RecursionError:
        raise MalformedBody("The body is nested too deep; a transaction is one flat object.") from None
    if end != len(text):
        raise MalformedBody(f"The body goes on after the JSON value ends (character {end}).")
    if type(value) is not Pairs:
        raise MalformedBody(f"The body must be one JSON object, not {_name(value)}.")
    return value


def _decode(body: bytes) -> str:
    try:
        text = body.decode().strip(_WHITESPACE)
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8 (byte {error.start}).") from None
    if not text:
        raise MalformedBody("The body is empty; send one JSON object.")
    if body.startswith(_BOM):
        raise MalformedBody("The body starts with a byte order mark; send UTF-8 without one.")
    return text


def _scan_carefully(text: str, error: ValueError) -> tuple[Any, int]:
    """Scan again after a failure that may be an over-long integer and nothing else."""
    if not isinstance(error, json.JSONDecodeError):
        try:
            return _scan_tolerant(text, 0)  # type: ignore[no-any-return]
        except StopIteration as stop:
            raise _not_json(text, stop.value) from None
        except json.JSONDecodeError as syntax:
            error = syntax
    raise MalformedBody(f"The body is not JSON: {error}.") from None


def _not_json(text: str, position: int) -> MalformedBody:
    return MalformedBody(f"The body is not JSON: no value at character {position} of {len(text)}.")


def _opened(body: bytes) -> int:
    """How many lists and objects the body opens outside of its strings."""
    outside = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    return outside.count(b"{") + outside.count(b"[")


def _name(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names[type(value)]
