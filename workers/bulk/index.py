"""Where each chunk of an upload begins: made once, when a batch is opened; every chunk is read by it.

The file holds, per chunk, three little-endian uint64: byte offset, row number and line number of its first row (both
from 1); a last entry says where the rows end and how many there are.
"""

from __future__ import annotations

import csv
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from config.blobs.store import Blob
from config.errors import MalformedBatch, TooManyRows
from config.queue.batches import BatchFiles, BatchFormat
from workers.bulk.lines import read_lines

ENTRY = struct.Struct("<QQQ")
CELL_LIMIT = 65_536
TELL_EVERY_ROWS = 20_000

KeepAlive = Callable[[], None]


class ChunkRange(NamedTuple):
    """One chunk: bytes `start` to `end` of the file with the rows; its first row and line; all rows of the batch."""

    start: int
    end: int
    first_row: int
    first_line: int


class Start(NamedTuple):
    """The beginning of one row."""

    offset: int
    line: int


def build_index(
    files: BatchFiles, kind: BatchFormat, *, chunk_rows: int, max_rows: int, max_row_bytes: int, alive: KeepAlive
) -> tuple[int, int]:
    """Write the index of the rows in `files` and return `(rows, chunks)`. `alive` is called now and then.

    Raises:
        MalformedBatch: the rows cannot be told apart.
        TooManyRows: there are more than `max_rows`.
    """
    source = rows_file(files)
    with source.open() as file, files.index.written() as index:
        rows = chunks = 0
        starts = csv_starts(file) if kind == "csv" else line_starts(file, max_row_bytes)
        for start in starts:
            if rows % chunk_rows == 0:
                index.write(ENTRY.pack(start.offset, rows + 1, start.line))
                chunks += 1
            rows += 1
            if rows > max_rows:
                raise TooManyRows(f"the batch has more than {max_rows} rows (TOLLGATE_BULK_MAX_ROWS)")
            if rows % TELL_EVERY_ROWS == 0:
                alive()
        index.write(ENTRY.pack(source.size(), rows + 1, 0))
    return rows, chunks


def read_range(files: BatchFiles, chunk: int) -> ChunkRange:
    """Where chunk number `chunk` (from 0) is."""
    with files.index.open((chunk + 2) * ENTRY.size) as index:
        index.seek(chunk * ENTRY.size)
        start, first_row, first_line = ENTRY.unpack(index.read(ENTRY.size))
        end, _, _ = ENTRY.unpack(index.read(ENTRY.size))
    return ChunkRange(start, end, first_row, first_line)


def rows_file(files: BatchFiles) -> Blob:
    """The file that holds the rows: the unpacked lines where there are any, else the upload itself."""
    return files.lines if files.lines.exists() else files.upload


def line_starts(file: BinaryIO, limit_bytes: int) -> Iterator[Start]:
    """One start per line that is not blank."""
    end = _size(file)
    for line in read_lines(file, end=end, first_number=1, limit_bytes=limit_bytes):
        if line.content is None or line.content.strip():
            yield Start(line.offset, line.number)


def csv_starts(file: BinaryIO) -> Iterator[Start]:
    """One start per record after the header. Raises MalformedBatch: no header, or a quote that is never closed."""
    lines = CsvLines(file, _size(file), first_number=1)
    reader = csv.reader(lines, strict=True)
    try:
        if not any(next(reader, [])):
            raise MalformedBatch("the first line of a CSV file must name its columns")
        while True:
            start = Start(lines.offset, lines.number)
            record = next(reader, None)
            if record is None:
                return
            if record:
                yield start
    except csv.Error as error:
        raise MalformedBatch(f"line {lines.number}: not CSV: {error}") from error


class CsvLines:
    """Feeds csv.reader, which takes exactly the lines of one record at a time, and knows where it stands.

    `offset`, `number`: of the line that comes next. What is not UTF-8 comes through as surrogates, so that only its row
    is refused.
    """

    def __init__(self, file: BinaryIO, end: int, *, first_number: int) -> None:
        self._file = file
        self._end = end
        self.offset = file.tell()
        self.number = first_number

    def __iter__(self) -> CsvLines:
        return self

    def __next__(self) -> str:
        if self.offset >= self._end:
            raise StopIteration
        line = self._file.readline(CELL_LIMIT * 4)
        if len(line) == CELL_LIMIT * 4 and not line.endswith(b"\n"):
            raise MalformedBatch(f"line {self.number} is longer than {CELL_LIMIT * 4} bytes")
        self.offset += len(line)
        self.number += 1
        return line.decode("utf-8-sig" if self.number == 2 else "utf-8", "surrogateescape")


def _size(file: BinaryIO) -> int:
    position = file.seek(0, 2)
    file.seek(0)
    return position
