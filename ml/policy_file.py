"""Puts thresholds into a policy file and leaves everything else, comments included, as it was."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from config.errors import SettingInvalid
from config.schema.model import Schema
from ml.policy import load_policy
from ml.thresholds import Thresholds

_TABLE: Final = re.compile(r"\s*\[\s*thresholds\s*\]\s*(#.*)?")
_ANY_TABLE: Final = re.compile(r"\s*\[")
_KEY: Final = re.compile(r"\s*(review|decline)\s*=")


def with_thresholds(text: str, thresholds: Thresholds) -> str:
    """The text of a policy file with these thresholds in place of its own.

    Raises:
        SettingInvalid: they are written in a way that is not edited here; the message says what to do.
    """
    table = ["[thresholds]", f"review = {thresholds.review!r}", f"decline = {thresholds.decline!r}"]
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if _TABLE.fullmatch(line)), None)
    edited = [*lines, "", *table] if start is None else [*lines[:start], *table, *_rest(lines[start + 1 :])]
    new = "\n".join(edited) + "\n"
    if _thresholds_of(new) != {"review": thresholds.review, "decline": thresholds.decline}:
        raise SettingInvalid(f"cannot put thresholds into this policy file; write them yourself: {'; '.join(table)}")
    return new


@contextmanager
def staged_thresholds(source: Path, target: Path, schema: Schema, thresholds: Thresholds) -> Iterator[None]:
    """Write `source` with these thresholds beside `target` and check it; when the block ends well, it becomes that.

    Raises:
        SettingInvalid: it cannot be read, edited or written, or would have mistakes.
    """
    staged = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        text = with_thresholds(source.read_text(encoding="utf-8"), thresholds)
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"{target} cannot be written: {error}; put the thresholds in yourself") from error
    try:
        load_policy(staged, schema)
        yield
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)


def _rest(lines: list[str]) -> list[str]:
    """What follows the table's head, without its two keys."""
    end = next((number for number, line in enumerate(lines) if _ANY_TABLE.match(line)), len(lines))
    return [*(line for line in lines[:end] if not _KEY.match(line)), *lines[end:]]


def _thresholds_of(text: str) -> object:
    try:
        return tomllib.loads(text).get("thresholds")
    except (ValueError, RecursionError):
        return None
