"""Is what a page prints below its commands what they answer? Numbers, ids and times differ; the rest may not."""

from __future__ import annotations

import json
import re
from typing import Any

LEFT_OUT = "..."
# Times, ids and digests, names of machines, how long, then every number that is left.
VARIABLE = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?"
    r"|\b\d{14}-[0-9a-f]{8}\b|\b[0-9a-f]{12,64}\b"
    r"|(?<=@)[\w.-]+"
    r"|\b\d+ (s|min|h|d)\b"
    r"|((?<!\w)-)?\d[\d,]*(\.\d+)?(e-?\d+)?"
)
FRAME = re.compile(r"[│┃━─┏┓┗┛┡┩└┘├┤╇╋┼┴┬┳┻╈|]+")


def difference(language: str, printed: str, answered: str) -> str | None:
    """What the answer lacks of what the page prints; None when nothing."""
    if language == "json":
        return _lacking(json.loads(printed), json.loads(answered), "")
    missing = _missing_lines(printed, answered)
    return f"no such line, in this order: {missing}\nin:\n{answered}" if missing else None


def _missing_lines(printed: str, answered: str) -> str | None:
    """The first printed line that the answer does not have below the ones before. `...` stands for lines left out."""
    there = iter([_shape(line) for line in answered.splitlines()])
    for line in printed.splitlines():
        if _shape(line) not in ("", LEFT_OUT) and _shape(line) not in there:
            return line
    return None


def _shape(line: str) -> str:
    return " ".join(FRAME.sub(" ", VARIABLE.sub("#", line)).split())


def _lacking(printed: Any, answered: Any, where: str) -> str | None:
    """Every printed key is there, with a value of its kind; a list's items are like its first."""
    if isinstance(printed, dict) and isinstance(answered, dict):
        gone = printed.keys() - answered.keys()
        if gone:
            return f"{where or '/'}: no {', '.join(sorted(gone))}"
        found = (_lacking(value, answered[key], f"{where}/{key}") for key, value in printed.items())
        return next((one for one in found if one), None)
    if isinstance(printed, list) and isinstance(answered, list):
        if printed and not answered:
            return f"{where}: an empty list"
        return _lacking(printed[0], answered[0], f"{where}/0") if printed else None
    return None if _is_like(printed, answered) else f"{where}: {answered!r} where the page has {printed!r}"


def _is_like(printed: Any, answered: Any) -> bool:
    """Words that mean something (`review`, `true`) are the same; numbers, ids and sentences are of the same type."""
    if isinstance(printed, bool) or printed is None or isinstance(answered, bool) or answered is None:
        return printed is answered
    if isinstance(printed, int | float):
        return isinstance(answered, int | float)
    if isinstance(printed, str) and re.fullmatch(r"[a-z_]+", printed):
        return bool(printed == answered)
    return type(printed) is type(answered)
