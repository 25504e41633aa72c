"""A file of labels, row by row, as POST /feedback takes them."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from deploy.bulk.source import FileFormat, FileUnusable, parquet_rows

FIELDS: Final = frozenset(
    {"transaction_id", "decision_id", "is_fraud", "source", "reason_code", "known_at", "amount", "label_id"}
)
_FLAGS: Final = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y"), True),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n"), False),
}


def read_labels(path: Path, form: FileFormat) -> Iterator[dict[str, Any]]:
    """Each row as POST /feedback takes it; columns that are not about the label are left out.

    Raises: FileUnusable (also in the middle: a line that cannot be read at all).
    """
    rows = parquet_rows(path) if form == "parquet" else _read_text(path, form)
    try:
        for row in rows:
            yield as_label(row)
    except (ValueError, csv.Error) as error:
        raise FileUnusable(f"{path} cannot be read: {error}") from error


def as_label(row: dict[str, Any]) -> dict[str, Any]:
    """The label in a row. Text becomes what it stands for; what stands for nothing stays, for the server to refuse.

    >>> as_label({"transaction_id": "t-1", "is_fraud": "1", "amount": "12.5", "city": "Bern", "source": ""})
    {'transaction_id': 't-1', 'is_fraud': True, 'amount': 12.5}
    """
    known = {name: value for name, value in row.items() if name in FIELDS and value not in (None, "")}
    for name, convert in (("is_fraud", _flag), ("amount", _number)):
        if name in known:
            known[name] = convert(known[name])
    for name in ("transaction_id", "decision_id"):
        if name in known:
            known[name] = str(known[name])
    return known


def _flag(value: Any) -> Any:
    return _FLAGS.get(str(value).strip().lower(), value)


def _number(value: Any) -> Any:
    """As a number; what is none, or has no place in JSON, stays as it is written."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return number if math.isfinite(number) else str(value)


def _read_text(path: Path, form: FileFormat) -> Iterator[dict[str, Any]]:
    with _opened(path) as file:
        if form == "csv":
            yield from csv.DictReader(file)
        elif form == "json":
            yield from msgspec.json.decode(file.read(), type=list[dict[str, Any]])
        else:
            yield from (msgspec.json.decode(line, type=dict[str, Any]) for line in file if line.strip())


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with ExitStack() as stack:
        raw: Any = stack.enter_context(path.open("rb"))
        unpacked = stack.enter_context(gzip.open(raw)) if path.suffix.lower() == ".gz" else raw
        yield stack.enter_context(io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline=""))
