"""Uploads lose their card numbers when they are opened; the rows that held one are refused, their neighbours read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from config.blobs.directory import DirectoryBlobs
from config.blobs.store import Blob
from config.card_numbers import CardPolicy
from config.queue.batches import BatchFiles, BatchFormat
from config.schema.load import parse_schema
from config.schema.validate import compile_validator
from tests.unit.workers.test_bulk_reading import LIMIT, SCHEMA, still_alive
from workers.bulk.index import build_index, rows_file
from workers.bulk.rows import Row, read_rows
from workers.bulk.scrub import PIECE_BYTES, scrub_upload
from workers.bulk.unpack import unpack_upload

VISA = "4111111111111111"
ROWS: list[dict[str, Any]] = [
    {"id": "t1", "amount": int(VISA)},
    {"id": int(VISA), "amount": 2},
    {"id": "t3", "amount": 3, "note": "4111 1111 1111 1111 said \"thanks\", Zürich"},
    {"id": "t4", "amount": 4, "note": "Zürich"},
]  # fmt: skip
NDJSON = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode()
CSV = (
    f'id,amount,note,more\nt1,1,x,\n{VISA},2,x,\nt3,3,"4111-1111-1111-1111 said ""thanks"", Zürich","a\nb"\n'
    "\nt4,4,Zürich,\n"
).encode()
FORMS: list[tuple[BatchFormat, bytes, bool]] = [
    ("ndjson", NDJSON, False),
    ("ndjson", gzip.compress(NDJSON), True),
    ("json", json.dumps(ROWS, indent=2).encode(), False),
    ("csv", CSV, False),
]


def files_in(directory: Path) -> BatchFiles:
    return BatchFiles(DirectoryBlobs(directory.parent), directory.name)


def content(blob: Blob) -> bytes:
    with blob.open() as file:
        return file.read()


def opened(directory: Path, kind: BatchFormat, upload: bytes, *, is_gzip: bool, cards: CardPolicy) -> list[Row]:
    """The rows of a batch, after it was opened twice, as after a worker that died."""
    files = files_in(directory)
    with files.upload.written() as sent:
        sent.write(upload)
    validator = compile_validator(parse_schema(SCHEMA), cards)
    for _ in range(2):
        unpack_upload(files, kind, is_gzip=is_gzip, max_bytes=1 << 20, max_row_bytes=LIMIT, alive=still_alive)
        scrub_upload(files, kind, validator.cards, alive=still_alive)
    build_index(files, kind, chunk_rows=10, max_rows=100, max_row_bytes=LIMIT, alive=still_alive)
    return read_rows(files, kind, 0, validator, LIMIT)


@pytest.mark.parametrize(("kind", "upload", "is_gzip"), FORMS)
def test_rows_with_card_numbers_are_refused_and_the_blob_store_keeps_none(
    tmp_path: Path, kind: BatchFormat, upload: bytes, is_gzip: bool
) -> None:
    rows = opened(tmp_path, kind, upload, is_gzip=is_gzip, cards="refuse")

    assert [row.refusal.code if row.refusal else "" for row in rows] == ["", "card_number", "card_number", ""]
    assert [[error.pointer for error in row.refusal.errors] for row in rows if row.refusal] == [["/id"], ["/note"]]
    assert [row.transaction_id for row in rows] == ["t1", None, None, "t4"]
    assert not files_in(tmp_path).upload.exists()
    kept = content(rows_file(files_in(tmp_path))).decode().replace(f'"amount": {VISA}', "")
    assert "1111" not in kept


@pytest.mark.parametrize(("kind", "upload", "is_gzip"), FORMS)
def test_masked_rows_are_scored(tmp_path: Path, kind: BatchFormat, upload: bytes, is_gzip: bool) -> None:
    rows = opened(tmp_path, kind, upload, is_gzip=is_gzip, cards="mask")

    assert [row.transaction_id for row in rows] == ["t1", "411111******1111", "t3", "t4"]
    assert rows[2].transaction
    assert str(rows[2].transaction.values[2]).startswith("411111******1111")


def test_a_broken_row_loses_its_card_number_too(tmp_path: Path) -> None:
    [row] = opened(tmp_path, "ndjson", f'{{"id": "{VISA}", "amount": '.encode(), is_gzip=False, cards="refuse")

    assert row.refusal
    assert VISA.encode() not in content(rows_file(files_in(tmp_path)))


@pytest.mark.parametrize("cards", ["refuse", "allow"])
def test_an_upload_without_any_stays_as_it_was_sent(tmp_path: Path, cards: CardPolicy) -> None:
    upload = (VISA if cards == "allow" else "tück 1234567890123").encode()
    opened(tmp_path, "ndjson", upload, is_gzip=False, cards=cards)

    assert content(files_in(tmp_path).upload) == upload
    assert not files_in(tmp_path).lines.exists()


def test_a_card_number_across_two_blocks_is_seen(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    row = f'{{"id": "{VISA}", "amount": 1}}\n'.encode()
    filler = b'{"id": "t", "amount": 1}\n'
    lines, rest = divmod(PIECE_BYTES - row.index(b"4") - len(VISA) // 2, len(filler))
    with files.upload.written() as sent:
        sent.writelines((filler * lines, b" " * (rest - 1), b"\n", row))
    guard = compile_validator(parse_schema(SCHEMA), "refuse").cards

    assert scrub_upload(files, "ndjson", guard, alive=still_alive)

    kept = content(files.lines)
    assert VISA.encode() not in kept
    assert kept.count(b"\n") == lines + 2


def test_an_upload_without_card_numbers_stays_as_it_is(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    with files.upload.written() as sent:
        sent.write(b'{"id": "t", "amount": 1}\n' * 10)
    guard = compile_validator(parse_schema(SCHEMA), "refuse").cards

    assert not scrub_upload(files, "ndjson", guard, alive=still_alive)
    assert files.upload.exists()
    assert not files.lines.exists()
