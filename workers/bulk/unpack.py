"""An upload that is not one row to a line already is rewritten so: gzip is unpacked, a JSON array is taken apart."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from config.errors import MalformedBatch
from config.queue.batches import BatchFiles, BatchFormat

BLOCK_BYTES = 1 << 20
WHITESPACE = " \t\r\n"
ONE_LINE = bytes.maketrans(b"\r\n", b"  ")

# Only where an element ends is asked: an integer of 5,000 digits is refused with its row, not here.
_decode_next = json.JSONDecoder(parse_int=str).raw_decode
KeepAlive = Callable[[], None]


def unpack_upload(
    files: BatchFiles, kind: BatchFormat, *, is_gzip: bool, max_bytes: int, max_row_bytes: int, alive: KeepAlive
) -> None:
    """Write `files.lines` when the upload needs it, and remove the upload then. Repeatable.

    Raises:
        MalformedBatch: not gzip, not a JSON array, an element over `max_row_bytes`, or over `max_bytes` unpacked.
    """
    if files.lines.exists() or not (is_gzip or kind == "json"):
        return
    with files.lines.written() as lines:
        blocks = _blocks(files, is_gzip=is_gzip, max_bytes=max_bytes, alive=alive)
        for piece in elements_as_lines(blocks, max_row_bytes) if kind == "json" else blocks:
            lines.write(piece)
    files.upload.remove()


def _blocks(files: BatchFiles, *, is_gzip: bool, max_bytes: int, alive: KeepAlive) -> Iterator[bytes]:
    total = 0
    with files.upload.open() as packed, gzip.open(packed, "rb") as unpacked:
        file = cast("BinaryIO", unpacked) if is_gzip else packed
        while block := _read_block(file):
            total += len(block)
            if total > max_bytes:
                raise MalformedBatch(f"the batch is larger than {max_bytes} bytes when it is unpacked")
            alive()
            yield block


def _read_block(file: BinaryIO) -> bytes:
    try:
        return file.read(BLOCK_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise MalformedBatch(f"the upload is not gzip, or ends early: {error}") from error


def elements_as_lines(blocks: Iterator[bytes], max_row_bytes: int) -> Iterator[bytes]:
    """The elements of the JSON array that `blocks` hold, one to a line, as they were sent but for line breaks.

    Raises:
        MalformedBatch: it is not one JSON array in UTF-8; the message says at which element.
    """
    text = _Text(blocks)
    if text.next_character() != "[":
        raise MalformedBatch("a JSON batch must be an array of transactions")
    text.take()
    if text.next_character() == "]":
        text.take()
        return _require_end(text)
    number = 1
    while True:
        element = _element(text, number, max_row_bytes)
        yield element.encode("utf-8", "surrogatepass").translate(ONE_LINE) + b"\n"
        mark = text.next_character()
        if mark not in (",", "]"):
            raise MalformedBatch(f"after element {number} the array must go on with a comma or end")
        text.take()
        if mark == "]":
            return _require_end(text)
        number += 1


def _element(text: _Text, number: int, max_row_bytes: int) -> str:
    """The text of the next element. A whole object is never mistaken for another: it ends with its brace."""
    text.next_character()
    while True:
        try:
            _, end = _decode_next(text.buffer, text.position)
        except (json.JSONDecodeError, RecursionError) as error:
            is_long = len(text.buffer) - text.position > max_row_bytes
            if is_long or isinstance(error, RecursionError) or not text.grow():
                reason = "is too long" if is_long else str(error)
                raise MalformedBatch(f"element {number} of the array is not JSON: {reason}") from error
            continue
        if end < len(text.buffer) or not text.grow():
            return text.take(end - text.position)


def _require_end(text: _Text) -> None:
    if text.next_character():
        raise MalformedBatch("the body goes on after the array ends")


class _Text:
    """Decoded text that grows at its end as it is used up at its beginning."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.buffer = ""
        self.position = 0

    def grow(self) -> bool:
        """Append one block; False when there is none."""
        block = next(self._blocks, None)
        if block is None:
            return False
        try:
            added = self._decoder.decode(block)
        except UnicodeDecodeError as error:
            raise MalformedBatch("the batch is not UTF-8") from error
        self.buffer = self.buffer[self.position :] + added
        self.position = 0
        return True

    def next_character(self) -> str:
        """The next character that is not white space, without taking it; empty at the end."""
        while True:
            while self.position < len(self.buffer):
                character = self.buffer[self.position]
                if character not in WHITESPACE:
                    return character
                self.position += 1
            if not self.grow():
                return ""

    def take(self, length: int = 1) -> str:
        """The next `length` characters."""
        start, self.position = self.position, self.position + length
        return self.buffer[start : self.position]
