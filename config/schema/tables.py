"""Strict reading of one TOML table: known keys only, each with its type. `config.schema.read` calls it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from config.schema.lines import Path
from config.schema.problems import Problems, did_you_mean

_KIND_NAMES = {
    "text": "text in quotes",
    "number": "a finite number",
    "integer": "a whole number",
    "switch": "true or false",
    "table": "a table",
    "duration": 'a length of time such as "30m", "24h" or "7d"',
    "any": "a value",
}
_DURATION = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def take(table: Mapping[str, Any], path: Path, keys: Mapping[str, str], problems: Problems) -> dict[str, Any]:
    """The values of `table` that are as `keys` (key -> kind) says; what is not becomes a problem.

    Durations come back in seconds, numbers as float.
    """
    taken: dict[str, Any] = {}
    for key, value in table.items():
        if key not in keys:
            known = ", ".join(keys)
            problems.add((*path, key), "unknown_key", f'unknown key "{key}"{did_you_mean(key, keys)} (known: {known})')
        elif (read := _as_kind(keys[key], value)) is None:
            problems.add((*path, key), "wrong_type", f'"{key}" must be {_KIND_NAMES[keys[key]]}, not {show(value)}')
        else:
            taken[key] = read
    return taken


def choose(taken: dict[str, Any], key: str, allowed: Collection[str], path: Path, problems: Problems) -> str | None:
    """The value of `key` if it is one of `allowed`, else None (and a problem unless it is not there)."""
    value: str | None = taken.get(key)
    if value is None or value in allowed:
        return value
    choices = ", ".join(f'"{one}"' for one in allowed)
    problems.add(
        (*path, key),
        "unknown_value",
        f'"{key}" cannot be "{value}"{did_you_mean(value, allowed)} (one of {choices})',
    )
    return None


def show(value: object) -> str:
    """A short rendering of a value for a message."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return str(value).lower()
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _as_kind(kind: str, value: object) -> object:
    if kind == "number":
        return _finite(value)
    if kind == "integer":
        return value if type(value) is int else None
    if kind == "duration":
        return _duration(value)
    kinds: dict[str, type] = {"text": str, "switch": bool, "table": dict, "any": object}
    return value if isinstance(value, kinds[kind]) else None


def _finite(value: object) -> float | None:
    if type(value) not in (int, float):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _duration(value: object) -> float | None:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * _SECONDS[match[2]] if match else None
