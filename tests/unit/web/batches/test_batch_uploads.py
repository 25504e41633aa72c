"""POST /batches: what is read and refused on the way in, and what is left on the disk."""

from __future__ import annotations

import errno
import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config.blobs import directory
from config.errors import BrokerUnavailable, Overloaded, TooManyBatches, TooManyRows
from config.queue.batches import BatchFormat, BatchRecord
from tests.batch_paths import BatchPaths
from tests.web_app import assert_problem
from tests.web_batches import LINES, NDJSON, left_over, submit
from web.batch_submission import Submission
from web.memory_batches import MemoryBatches
from web.upload import RowCount, UploadHead


def test_a_packed_upload_is_kept_as_sent(client: FlaskClient, batches: MemoryBatches, tmp_path: Path) -> None:
    packed = gzip.compress(LINES)

    batch_id = submit(client, packed, Content_Encoding="gzip").json["id"]

    assert BatchPaths.of(tmp_path / "blobs", batch_id).upload.read_bytes() == packed
    assert batches.records[batch_id].is_gzip


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("text/plain", ""),
        ("", ""),
        ("application/gzip", ""),
        ("multipart/form-data; boundary=x", ""),
        (NDJSON, "br"),
        ("text/csv; charset=latin-1", ""),
    ],
)
def test_another_type_is_refused_and_the_allowed_ones_are_named(
    client: FlaskClient, blobs: Path, content_type: str, encoding: str
) -> None:
    response = submit(client, content_type=content_type, Content_Encoding=encoding)

    document = assert_problem(response, 415, "unsupported_media_type")
    assert any(name in document["detail"] for name in ("text/csv", "gzip", "utf-8"))
    assert left_over(blobs) == []


def test_an_empty_body_is_refused(client: FlaskClient) -> None:
    assert_problem(submit(client, b""), 422, "malformed_body")


def test_a_body_over_the_limit_is_refused_before_it_is_read(client: FlaskClient, blobs: Path) -> None:
    document = assert_problem(submit(client, b"x" * 1_000_001), 413, "body_too_large")

    assert "1000000" in document["detail"]
    assert left_over(blobs) == []


def in_chunks(client: FlaskClient, body: bytes, **headers: str) -> TestResponse:
    return client.post(
        "/batches",
        input_stream=io.BytesIO(body),
        content_type=NDJSON,
        headers={"Transfer-Encoding": "chunked", **headers},
        environ_overrides={"CONTENT_LENGTH": "", "wsgi.input_terminated": True},
    )


def test_an_upload_in_chunks_is_accepted_and_its_bytes_are_counted(client: FlaskClient) -> None:
    response = in_chunks(client, LINES)

    assert response.status_code == 202
    assert response.get_json()["upload_bytes"] == len(LINES)


def test_an_upload_in_chunks_cannot_take_a_key(client: FlaskClient) -> None:
    assert_problem(in_chunks(client, LINES, **{"Idempotency-Key": "k"}), 411, "length_required")


def test_an_upload_in_chunks_is_bounded_and_not_empty(client: FlaskClient, blobs: Path) -> None:
    assert_problem(in_chunks(client, b"x" * 1_000_001), 413, "body_too_large")
    assert_problem(in_chunks(client, b""), 422, "malformed_body")
    assert left_over(blobs) == []


@pytest.mark.parametrize(
    ("kind", "body", "is_refused"),
    [
        ("ndjson", b"{}\n" * 4, True),
        ("ndjson", b"{}\n" * 3 + b"\n\r\n\n", False),
        ("csv", b"amount\n" + b"1\n" * 4, True),
        ("csv", b"amount\n" + b"1\n" * 3, False),
        ("csv", b'amount\n"1\n"\n' * 4, False),
        ("json", b"\n" * 9, False),
    ],
)
def test_rows_are_counted_on_the_way_in_where_line_breaks_tell(
    kind: BatchFormat, body: bytes, is_refused: bool
) -> None:
    rows = RowCount(UploadHead(kind, is_gzip=False, length=None), max_rows=3)

    with pytest.raises(TooManyRows) if is_refused else nullcontext():
        rows.add(body)


def test_a_client_that_breaks_off_leaves_nothing_behind(
    client: FlaskClient, batches: MemoryBatches, blobs: Path
) -> None:
    response = client.post("/batches", data=LINES, content_type=NDJSON, environ_overrides={"CONTENT_LENGTH": "500"})

    assert_problem(response, 422, "malformed_body")
    assert left_over(blobs) == []
    assert batches.records == {}


class Untouchable:
    """A body that must not be touched."""

    def read(self, _size: int) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize("failure", [BrokerUnavailable(), None])
def test_who_cannot_be_served_hears_it_before_the_body_is_read(
    app: Flask, client: FlaskClient, batches: MemoryBatches, failure: BrokerUnavailable | None
) -> None:
    for _ in range(3):
        submit(client)
    batches.failure = failure
    environ = {"CONTENT_TYPE": NDJSON, "CONTENT_LENGTH": "50", "wsgi.input": Untouchable()}

    with pytest.raises(BrokerUnavailable if failure else TooManyBatches):
        Submission(app.extensions["tollgate"])(environ, "127.0.0.1")


def test_uploads_leave_most_of_the_servers_threads_alone(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    app = make_app(blob_dir=tmp_path / "blobs", web_threads=8)
    submission = Submission(app.extensions["tollgate"])
    environ = {"CONTENT_TYPE": NDJSON, "CONTENT_LENGTH": str(len(LINES))}

    class UploadsInside(io.BytesIO):
        depth = 0

        def read(self, size: int | None = -1) -> bytes:
            if self.depth < 2:
                inner = UploadsInside(LINES)
                inner.depth = self.depth + 1
                submission({**environ, "wsgi.input": inner}, "c")
            return super().read(size)

    with pytest.raises(Overloaded):
        submission({**environ, "wsgi.input": UploadsInside(LINES)}, "c")


def test_a_full_disk_is_named_and_nothing_is_left(
    client: FlaskClient, blobs: Path, batches: MemoryBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(body: Any, length: int, limit_bytes: int) -> Iterator[bytes]:
        yield b"x"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("web.batch_submission.blocks", full)

    assert_problem(submit(client), 507, "storage_full")
    assert left_over(blobs) == []
    assert batches.records == {}


def test_an_upload_larger_than_what_is_free_is_refused_at_once(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 3}))

    assert_problem(submit(client), 507, "storage_full")


def test_an_upload_whose_acceptance_is_unknown_stays_for_the_worker(
    client: FlaskClient, batches: MemoryBatches, blobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(self: MemoryBatches, record: BatchRecord, keep: object = None) -> None:
        raise BrokerUnavailable

    monkeypatch.setattr(MemoryBatches, "submit", lost)

    assert_problem(submit(client), 503, "broker_unavailable")
    assert [path.name for path in left_over(blobs)] == ["upload"]


def test_a_broker_that_died_during_the_upload_has_accepted_nothing_and_nothing_is_left(
    app: Flask, batches: MemoryBatches, blobs: Path
) -> None:
    class Deadly(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            batches.failure = BrokerUnavailable()
            return super().read(size)

    environ = {"CONTENT_TYPE": NDJSON, "CONTENT_LENGTH": str(len(LINES)), "wsgi.input": Deadly(LINES)}
    with pytest.raises(BrokerUnavailable):
        Submission(app.extensions["tollgate"])(environ, "c")

    assert left_over(blobs) == []
