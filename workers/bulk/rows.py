"""The rows of one chunk: read from the upload by the index, checked against the schema, one by one."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from config.errors import CardNumberRefused, FieldError, InvalidTransaction, MalformedBody
from config.queue.batches import BatchFiles, BatchFormat
from config.schema.body import read_pairs
from config.schema.validate import Transaction, Validator
from workers.bulk.index import ChunkRange, CsvLines, read_range, rows_file
from workers.bulk.lines import read_lines


class Refusal(msgspec.Struct, frozen=True):
    """Why a row has no decision, for its line in the errors file."""

    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    transaction_id: str | None = None


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row of a batch. `number` and `line` count from 1. Exactly one of `transaction`, `refusal` is there."""

    number: int
    line: int
    transaction: Transaction | None = None
    refusal: Refusal | None = None

    @property
    def transaction_id(self) -> str | None:
        """The client's own id, where it could be read."""
        if self.transaction is not None:
            return self.transaction.transaction_id
        return self.refusal.transaction_id if self.refusal else None


def read_rows(files: BatchFiles, kind: BatchFormat, chunk: int, validator: Validator, limit_bytes: int) -> list[Row]:
    """The rows of chunk number `chunk` (from 0), in input order."""
    where = read_range(files, chunk)
    parsed = _csv_rows(files, where, validator) if kind == "csv" else _json_rows(files, where, validator, limit_bytes)
    return [
        Row(number, line, refusal=outcome) if isinstance(outcome, Refusal) else Row(number, line, outcome)
        for number, (line, outcome) in enumerate(parsed, where.first_row)
    ]


def _json_rows(
    files: BatchFiles, where: ChunkRange, validator: Validator, limit_bytes: int
) -> Iterator[tuple[int, Transaction | Refusal]]:
    with rows_file(files).open(where.end) as file:
        file.seek(where.start)
        for line in read_lines(file, end=where.end, first_number=where.first_line, limit_bytes=limit_bytes):
            if line.content is None:
                yield line.number, Refusal("body_too_large", f"the row is larger than {limit_bytes} bytes")
            elif line.content.strip():
                yield line.number, _parsed(validator, line.content)


def _parsed(validator: Validator, content: bytes) -> Transaction | Refusal:
    try:
        return validator.parse(content)
    except MalformedBody as error:
        return Refusal(error.code, error.detail)
    except InvalidTransaction as error:
        return _refusal(validator, error, dict(read_pairs(content)))


def _csv_rows(
    files: BatchFiles, where: ChunkRange, validator: Validator
) -> Iterator[tuple[int, Transaction | Refusal]]:
    with rows_file(files).open(where.end) as file:
        header = next(csv.reader(CsvLines(file, where.end, first_number=1), strict=True))
        columns = [name.strip() for name in header]
        file.seek(where.start)
        lines = CsvLines(file, where.end, first_number=where.first_line)
        reader = csv.reader(lines, strict=True)
        while True:
            line = lines.number
            cells = next(reader, None)
            if cells is None:
                return
            if cells:
                yield line, _from_cells(validator, columns, cells)


def _from_cells(validator: Validator, columns: Sequence[str], cells: Sequence[str]) -> Transaction | Refusal:
    if len(cells) != len(columns):
        return Refusal("malformed_body", f"the row has {len(cells)} cells, the header names {len(columns)} columns")
    if not _is_text(cells):
        return Refusal("malformed_body", "the row is not UTF-8")
    row = dict(zip(columns, cells, strict=True))
    try:
        return validator.from_row(row)
    except InvalidTransaction as error:
        return _refusal(validator, error, row)


def _refusal(validator: Validator, error: InvalidTransaction, sent: Mapping[str, object]) -> Refusal:
    id_field = validator.schema.roles.transaction_id
    transaction_id = sent.get(id_field) if id_field else None
    if isinstance(error, CardNumberRefused) or not (isinstance(transaction_id, str) and transaction_id):
        return Refusal(error.code, error.detail, error.errors)
    return Refusal(error.code, error.detail, error.errors, transaction_id)


def _is_text(cells: Sequence[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True
