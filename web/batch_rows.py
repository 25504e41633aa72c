"""What a batch left behind, as a stream: the chunk files one after the other, as they are or as CSV.

A file is read in blocks; a row of CSV is made from its line, so memory does not grow with the batch.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from config.blobs.store import Blob, Listed
from web.shapes.batches import ResultRow

BLOCK_BYTES: Final = 262_144
ROWS_PER_BLOCK: Final = 1000
COLUMNS: Final = (
    "row", "transaction_id", "decision_id", "fraud_probability", "is_fraud", "risk_score", "risk_level", "action",
    "model_version", "scored_at", "degraded", "replayed", "reasons",
)  # fmt: skip
# What makes a spreadsheet take a cell for a formula (OWASP, "CSV injection").
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_decode = msgspec.json.Decoder(ResultRow).decode


@dataclass(frozen=True, slots=True)
class Rows:
    """The chunk files that are there, in input order. `size`: bytes of all of them."""

    blobs: Sequence[Blob]
    size: int


def rows_of(files: Sequence[Listed]) -> Rows:
    """The files of a batch's chunks; one that is there never changes."""
    return Rows([file.blob for file in files], sum(file.size for file in files))


def as_lines(rows: Rows) -> Iterator[bytes]:
    """The files' bytes. A file that retention removes meanwhile ends the stream short of its Content-Length."""
    for blob in rows.blobs:
        with blob.open() as file:
            while block := file.read(BLOCK_BYTES):
                yield block


def as_csv(rows: Rows) -> Iterator[bytes]:
    """A header, then a row per decision (RFC 4180). Ids that a spreadsheet would compute begin with an apostrophe."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for number, line in enumerate(_lines(rows), start=1):
        writer.writerow(cells(_decode(line)))
        if number % ROWS_PER_BLOCK == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def cells(row: ResultRow) -> tuple[Any, ...]:
    """One row, in the order of `COLUMNS`."""
    return (
        row.row,
        harmless(row.transaction_id),
        row.decision_id,
        row.fraud_probability,
        _flag(row.is_fraud),
        row.risk_score,
        row.risk_level,
        row.action,
        row.model_version,
        row.scored_at,
        _flag(row.degraded),
        _flag(row.replayed),
        ";".join([reason.code for reason in row.reasons]),
    )


def harmless(text: str) -> str:
    """Text that a client chose, as a cell that is not computed.

    >>> harmless("=1+1"), harmless("t-1")
    ("'=1+1", 't-1')
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _lines(rows: Rows) -> Iterator[bytes]:
    for blob in rows.blobs:
        with blob.open() as file:
            yield from file


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
