"""An upload that holds card numbers is rewritten without them when its batch is opened (`workers.bulk.opening`).

A row of the rewritten file says `[card number]` where one stood, and is refused by name when it is read, or holds the
truncated number where `TOLLGATE_CARD_NUMBERS` is `mask`. Lines and rows stay where they were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Final

from config.card_numbers import MASK, CardGuard, find_cards, hide_cards, is_card_number, truncated
from config.queue.batches import BatchFiles, BatchFormat
from workers.bulk.index import TELL_EVERY_ROWS, rows_file

PIECE_BYTES: Final = 1 << 20
LONGEST_CARD_BYTES: Final = 256
"""More than a card number takes, each digit written as an escape and set apart."""
# A text, or a whole number that stands alone.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(?<![\w.+-])\d{12,19}(?![\w.])')

KeepAlive = Callable[[], None]
Hidden = Callable[[str], str]


def scrub_upload(files: BatchFiles, kind: BatchFormat, guard: CardGuard, *, alive: KeepAlive) -> bool:
    """Write `files.lines` without card numbers and remove the upload, when there is one to hide. Repeatable.

    Returns whether anything was rewritten.
    """
    clean = _cleaner(kind, guard)
    if not any(guard.suspects(block) for block in _blocks(files, alive)):
        return False
    if all(clean(line) == line for line in _pieces(files, alive)):
        return False
    with files.lines.written() as lines:
        lines.writelines(clean(line) for line in _pieces(files, alive))
    files.upload.remove()
    return True


def _blocks(files: BatchFiles, alive: KeepAlive) -> Iterator[bytes]:
    """The whole upload for a first look, fast. What ends a block begins the next: a number may stand across."""
    end = b""
    with rows_file(files).open() as rows:
        for block in iter(lambda: rows.read(PIECE_BYTES), b""):
            yield end + block
            end = block[-LONGEST_CARD_BYTES:]
            alive()


def _pieces(files: BatchFiles, alive: KeepAlive) -> Iterator[bytes]:
    """The lines; one that is longer than any row may be comes in pieces."""
    with rows_file(files).open() as rows:
        for number, line in enumerate(iter(lambda: rows.readline(PIECE_BYTES), b"")):
            yield line
            if number % TELL_EVERY_ROWS == 0:
                alive()


def _cleaner(kind: BatchFormat, guard: CardGuard) -> Callable[[bytes], bytes]:
    hidden = truncated if guard.policy == "mask" else _marked

    def clean(line: bytes) -> bytes:
        if not guard.suspects(line):
            return line
        text = line.decode("utf-8", "surrogateescape")
        found = _clean_cells(text, hidden) if kind == "csv" else _clean_json(text, guard, hidden)
        return found.encode("utf-8", "surrogateescape")

    return clean


def _marked(_digits: str) -> str:
    return MASK


def _clean_cells(text: str, hidden: Hidden) -> str:
    """A line of CSV, cell by cell as far as commas tell: a number among its neighbours is not one long number."""
    return ",".join(hide_cards(cell, hidden) for cell in text.split(","))


def _clean_json(text: str, guard: CardGuard, hidden: Hidden) -> str:
    """A line of JSON, whole or broken: its texts, and its whole numbers outside of numeric fields."""
    field = ""

    def clean(match: re.Match[str]) -> str:
        nonlocal field
        token = match.group()
        if not token.startswith('"'):
            return json.dumps(hidden(token)) if is_card_number(token) and not guard.is_numeric(field) else token
        value = _unquoted(token)
        field = value
        return json.dumps(hide_cards(value, hidden)) if find_cards(value) else token

    return _TOKEN.sub(clean, text)


def _unquoted(token: str) -> str:
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token[1:-1]
