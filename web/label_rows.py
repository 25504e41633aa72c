"""A file of labels, row by row: NDJSON or CSV out of the blocks of a request's body, never held whole."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec

from config.card_numbers import CardGuard
from config.errors import CardNumberRefused, InvalidRequest, MalformedBody, TollgateError
from web.labels import FIELDS, label_from, label_guard, read_object
from web.ports.labels import Label

T = TypeVar("T")

LINE_MAX_BYTES: Final = 16_384
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


class LabelRow(NamedTuple):
    """A row of the file that is a label, or why it is none. `line`: counted from 1."""

    line: int
    label: Label | TollgateError


def read_label_rows(
    blocks: Iterable[bytes], form: Literal["ndjson", "csv"], *, now: datetime, cards: CardGuard | None = None
) -> Iterator[LabelRow]:
    """Every row in order; blank lines are none. A row without `known_at` was known `now`.

    A row without a `label_id` has the digest of its content for one, so that the same row again changes nothing.
    CSV that cannot be told into rows ends with one last refused row; everything before it stands.

    Raises: MalformedBody (CSV without a header that names a label's fields), and what `blocks` raises.
    """
    lines = _lines(blocks)
    cards = cards or label_guard()
    return _csv_rows(lines, now, cards) if form == "csv" else _json_rows(lines, now, cards)


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes | None]:
    """The lines without their ends; None for one that is longer than the limit."""
    rest, is_cut = b"", False
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield None if is_cut or len(line) > LINE_MAX_BYTES else line.rstrip(b"\r")
            is_cut = False
        if len(rest) > LINE_MAX_BYTES:
            rest, is_cut = b"", True
    if rest or is_cut:
        yield None if is_cut else rest.rstrip(b"\r")


def _json_rows(lines: Iterator[bytes | None], now: datetime, cards: CardGuard) -> Iterator[LabelRow]:
    for number, line in enumerate(lines, start=1):
        if line is None:
            yield LabelRow(number, _too_long())
        elif line.strip():
            yield LabelRow(number, _label(read_object, line, now, cards))


def _csv_rows(lines: Iterator[bytes | None], now: datetime, cards: CardGuard) -> Iterator[LabelRow]:
    reader = csv.reader(_text(lines), strict=True)
    header = [name.strip() for name in _next_cells(reader) or []]
    if "is_fraud" not in header or not {"transaction_id", "decision_id"} & set(header):
        raise MalformedBody("the first line must name the columns: is_fraud, and transaction_id or decision_id")
    if len(set(header)) < len(header):
        raise MalformedBody("a column is named twice")
    while True:
        number = reader.line_num + 1
        try:
            cells = _next_cells(reader)
        except MalformedBody as error:
            yield LabelRow(number, error)
            return
        if cells is None:
            return
        if cells:
            yield LabelRow(number, _label(partial(_from_cells, header), cells, now, cards))


def _text(lines: Iterator[bytes | None]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if line is None:
            raise _too_long()
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
        yield content.decode("utf-8", "surrogateescape") + "\n"


def _next_cells(reader: Any) -> list[str] | None:
    try:
        cells: list[str] | None = next(reader, None)
    except csv.Error as error:
        raise MalformedBody(f"the rest of the file cannot be read as CSV: {error}") from error
    return cells


def _from_cells(header: list[str], cells: list[str]) -> dict[str, Any]:
    """The label's fields; other columns and empty cells are left out. Raises MalformedBody."""
    if len(cells) != len(header):
        raise MalformedBody(f"the row has {len(cells)} cells, the header names {len(header)} columns")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name in FIELDS and cell.strip()}
    if any("\udc80" <= character <= "\udcff" for cell in row.values() for character in cell):
        raise MalformedBody("the row is not UTF-8")
    typed: dict[str, Any] = dict(row)
    if "is_fraud" in row:
        typed["is_fraud"] = _FLAGS.get(row["is_fraud"].lower(), row["is_fraud"])
    if "amount" in row:
        typed["amount"] = _number(row["amount"])
    return typed


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # refused by name with the other checks


def _label(read: Callable[[T], Mapping[str, Any]], row: T, now: datetime, cards: CardGuard) -> Label | TollgateError:
    try:
        data = dict(cards.admit(read(row).items()))
        return label_from(data, now=now, label_id=_content_id(data))
    except (MalformedBody, InvalidRequest, CardNumberRefused) as error:
        return error
    except UnicodeEncodeError:
        return MalformedBody("the row holds lone surrogates, which are no text")


def _content_id(data: Mapping[str, Any]) -> str:
    """The digest of what the row says, `label_id` apart."""
    content = {name: data[name] for name in sorted(data) if name in FIELDS and name != "label_id"}
    return sha256(msgspec.json.encode(content)).hexdigest()[:32]


def _too_long() -> MalformedBody:
    return MalformedBody(f"the line is longer than {LINE_MAX_BYTES} bytes")
