"""Uploads of a batch: unpacked, indexed, read back chunk by chunk, whatever their form."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.blobs.directory import DirectoryBlobs
from config.errors import MalformedBatch
from config.queue.batches import BatchFiles, BatchFormat
from config.schema.load import parse_schema
from config.schema.validate import compile_validator
from workers.bulk.index import build_index
from workers.bulk.rows import Row, read_rows
from workers.bulk.unpack import elements_as_lines, unpack_upload

SCHEMA = """
name = "tiny"
version = 1

[roles]
amount = "amount"
transaction_id = "id"

[fields.id]
type = "id"
required = false

[fields.amount]
type = "number"
min = 0

[fields.note]
type = "category"
required = false
"""
VALIDATOR = compile_validator(parse_schema(SCHEMA))
LIMIT = 4096


def still_alive() -> None:
    """Nobody waits here for a sign of life."""


def rows_of(
    directory: Path,
    upload: bytes,
    kind: BatchFormat,
    *,
    is_gzip: bool = False,
    chunk_rows: int = 2,
    max_rows: int = 100,
) -> list[Row]:
    files = BatchFiles(DirectoryBlobs(directory.parent), directory.name)
    directory.mkdir(exist_ok=True)
    (directory / "upload").write_bytes(upload)
    unpack_upload(files, kind, is_gzip=is_gzip, max_bytes=1 << 20, max_row_bytes=LIMIT, alive=still_alive)
    _, chunks = build_index(
        files, kind, chunk_rows=chunk_rows, max_rows=max_rows, max_row_bytes=LIMIT, alive=still_alive
    )
    return [row for chunk in range(chunks) for row in read_rows(files, kind, chunk, VALIDATOR, LIMIT)]


def amounts(rows: list[Row]) -> list[float | None]:
    return [row.transaction.values[1] if row.transaction else None for row in rows]


def test_lines_are_rows_and_blank_lines_only_count_as_lines(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "b", b'{"amount":1}\n\n{"amount":2}\r\n  \n{"amount":3}', "ndjson")

    assert amounts(rows) == [1, 2, 3]
    assert [(row.number, row.line) for row in rows] == [(1, 1), (2, 3), (3, 5)]


def test_a_bad_line_is_refused_with_its_line_field_and_id_and_its_neighbours_are_read(tmp_path: Path) -> None:
    upload = b'{"amount":1}\n{"amount":-5,"id":"t2"}\nnot json\n{"amount":4}\n'

    good, out_of_bounds, broken, last = rows_of(tmp_path / "b", upload, "ndjson")

    assert amounts([good, last]) == [1, 4]
    assert out_of_bounds.refusal is not None
    assert out_of_bounds.transaction_id == "t2"
    assert [(error.pointer, error.code) for error in out_of_bounds.refusal.errors] == [("/amount", "out_of_bounds")]
    assert broken.refusal is not None
    assert (broken.line, broken.refusal.code) == (3, "malformed_body")


def test_a_line_over_the_limit_is_refused_alone(tmp_path: Path) -> None:
    upload = b'{"amount":1}\n{"note":"' + b"x" * 3 * LIMIT + b'","amount":2}\n{"amount":3}\n'

    rows = rows_of(tmp_path / "b", upload, "ndjson")

    assert amounts(rows) == [1, None, 3]
    assert rows[1].refusal is not None
    assert rows[1].refusal.code == "body_too_large"


def test_a_json_array_is_read_whatever_its_white_space(tmp_path: Path) -> None:
    upload = json.dumps([{"amount": n, "note": "brackets [,]{}"} for n in range(5)], indent=3).encode()

    rows = rows_of(tmp_path / "b", b"  " + upload + b"\n", "json")

    assert amounts(rows) == [0, 1, 2, 3, 4]
    assert [row.line for row in rows] == [1, 2, 3, 4, 5]
    assert not (tmp_path / "b" / "upload").exists()


def test_an_empty_array_is_a_batch_of_no_rows(tmp_path: Path) -> None:
    assert rows_of(tmp_path / "b", b" [ ] ", "json") == []


@pytest.mark.parametrize(
    "upload",
    [
        b"",
        b'{"amount":1}',
        b'[{"amount":1}',
        b'[{"amount":1}] x',
        b'[{"amount":1} {"amount":2}]',
        b"[{]",
        b"[1,]",
        b"[\xff]",
    ],
)
def test_what_is_no_json_array_ends_the_batch(tmp_path: Path, upload: bytes) -> None:
    with pytest.raises(MalformedBatch):
        rows_of(tmp_path / "b", upload, "json")


@given(
    elements=st.lists(st.dictionaries(st.text(), st.floats() | st.text() | st.lists(st.integers()) | st.none())),
    cuts=st.lists(st.integers(1, 40), min_size=1),
)
def test_an_array_comes_apart_the_same_wherever_its_blocks_end(elements: list[object], cuts: list[int]) -> None:
    text = json.dumps(elements, ensure_ascii=False).encode("utf-8", "surrogatepass")

    def blocks():
        position = 0
        while position < len(text):
            size = cuts[position % len(cuts)]
            yield text[position : position + size]
            position += size

    try:
        whole = text.decode()
    except UnicodeDecodeError:
        with pytest.raises(MalformedBatch):
            list(elements_as_lines(blocks(), 1 << 20))
        return
    lines = list(elements_as_lines(blocks(), 1 << 20))
    assert json.dumps([json.loads(line) for line in lines]) == json.dumps(json.loads(whole))
    assert all(line.count(b"\n") == 1 for line in lines)


def test_csv_records_may_span_lines_and_are_named_by_their_first(tmp_path: Path) -> None:
    upload = b'id,amount,note\nt1,1,"two\nlines"\n\nt2,2,"a ""quote"""\r\nt3,3\n"t4",4,\n'

    rows = rows_of(tmp_path / "b", upload, "csv")

    assert amounts(rows) == [None, 2, None, 4]  # a category holds no line break
    assert [row.line for row in rows] == [2, 5, 6, 7]
    assert rows[2].refusal is not None
    assert "2 cells" in rows[2].refusal.detail


def test_csv_cells_are_bounded_as_requests_are(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "b", b"\xef\xbb\xbfamount,id\n-1,t1\nabc,t2\n5,\xff\n7,t4\n", "csv")

    assert amounts(rows) == [None, None, None, 7]
    assert [row.transaction_id for row in rows[:2]] == ["t1", "t2"]
    assert [row.refusal.code for row in rows[:3] if row.refusal] == [
        "invalid_transaction", "invalid_transaction", "malformed_body",
    ]  # fmt: skip


def test_a_quote_that_is_never_closed_ends_the_batch(tmp_path: Path) -> None:
    with pytest.raises(MalformedBatch):
        rows_of(tmp_path / "b", b'amount,note\n1,"open\n' + b"2,x\n" * 3, "csv")


def test_gzip_is_unpacked_and_its_upload_removed(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"amount":1}\n') + gzip.compress(b'{"amount":2}\n')

    assert amounts(rows_of(tmp_path / "b", packed, "ndjson", is_gzip=True)) == [1, 2]
    assert not (tmp_path / "b" / "upload").exists()


@pytest.mark.parametrize("upload", [b"no gzip", gzip.compress(b"x" * 1000)[:-9]], ids=["none", "cut off"])
def test_broken_gzip_ends_the_batch(tmp_path: Path, upload: bytes) -> None:
    with pytest.raises(MalformedBatch):
        rows_of(tmp_path / "b", upload, "ndjson", is_gzip=True)


def test_a_gzip_bomb_ends_at_the_limit(tmp_path: Path) -> None:
    with pytest.raises(MalformedBatch, match="1048576 bytes"):
        rows_of(tmp_path / "b", gzip.compress(b"\n" * (8 << 20)), "ndjson", is_gzip=True)
    assert not (tmp_path / "b" / "lines").exists()


def test_too_many_rows_end_the_batch(tmp_path: Path) -> None:
    with pytest.raises(MalformedBatch, match="more than 3 rows"):
        rows_of(tmp_path / "b", b'{"amount":1}\n' * 4, "ndjson", max_rows=3)


@given(
    rows=st.lists(st.sampled_from([b'{"amount":1}', b"", b"x", b'{"amount":2}  ', b"y" * (LIMIT + 5)]), max_size=30),
    chunk_rows=st.integers(1, 7),
)
def test_chunks_hold_every_row_once_in_order(tmp_path_factory, rows: list[bytes], chunk_rows: int) -> None:
    upload = b"\n".join(rows)
    read = rows_of(tmp_path_factory.mktemp("batch") / "b", upload, "ndjson", chunk_rows=chunk_rows)

    lines = upload.split(b"\n")
    assert [row.number for row in read] == list(range(1, len(read) + 1))
    assert [row.line for row in read] == [number for number, line in enumerate(lines, 1) if line.strip()]
