"""Where things stand in a TOML text: `tomllib` reads values but keeps no line numbers.

`config.schema.load` uses this to point at the line of a mistake.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

Path = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER = re.compile(rf"[ \t]*\[\[?[ \t]*({_KEY})[ \t]*\]")
_ASSIGNMENT = re.compile(rf"[ \t]*({_KEY})[ \t]*=")
_MAY_CONTINUE = ('"""', "'''", "[", "{")


def locate(text: str) -> dict[Path, int]:
    """The line (from 1) of every table and key of a text that `tomllib` accepts."""
    found: dict[Path, int] = {}
    table: Path = ()
    lines = text.replace("\r\n", "\n").split("\n")
    index = 0
    while index < len(lines):
        line = lines[index]
        if header := _HEADER.match(line):
            table = _path(header[1])
            found.setdefault(table, index + 1)
        elif assignment := _ASSIGNMENT.match(line):
            found.setdefault(table + _path(assignment[1]), index + 1)
            index = _last_line_of_value(lines, index)
        index += 1
    return found


def line_of(path: Path, found: Mapping[Path, int]) -> int:
    """The line of `path`, else of the nearest table around it, else 1."""
    for length in range(len(path), 0, -1):
        if line := found.get(path[:length]):
            return line
    return 1


def _path(key: str) -> Path:
    """The parts of a dotted, perhaps quoted key: `a."b c"` -> ("a", "b c")."""
    parts: list[str] = []
    node: object = tomllib.loads(f"{key} = 0")
    while isinstance(node, dict):
        name, node = next(iter(node.items()))
        parts.append(name)
    return tuple(parts)


def _last_line_of_value(lines: list[str], start: int) -> int:
    """The index of the line on which the value that begins on `start` ends."""
    chunk = lines[start]
    if not any(opening in chunk for opening in _MAY_CONTINUE):
        return start
    for end in range(start, len(lines)):
        try:
            tomllib.loads(chunk)
        except tomllib.TOMLDecodeError:
            chunk = f"{chunk}\n{lines[min(end + 1, len(lines) - 1)]}"
        else:
            return end
    return start
