"""Reading an upload line by line without ever holding a long one whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple


class Line(NamedTuple):
    """One line of a file. `content` is without its end; None when the line is longer than the limit."""

    offset: int
    number: int
    content: bytes | None


def read_lines(file: BinaryIO, *, end: int, first_number: int, limit_bytes: int) -> Iterator[Line]:
    """The lines from the file's position up to byte `end`, numbered from `first_number`.

    A line over `limit_bytes` is skipped in pieces: its content is None.
    """
    offset, number = file.tell(), first_number
    while offset < end:
        content = file.readline(limit_bytes + 2)
        is_whole = content.endswith(b"\n") or len(content) < limit_bytes + 2
        length = len(content) if is_whole else len(content) + _skip_rest(file)
        yield Line(offset, number, content.rstrip(b"\r\n") if is_whole else None)
        offset += length
        number += 1


def _skip_rest(file: BinaryIO) -> int:
    skipped = 0
    while piece := file.readline(1 << 16):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped
