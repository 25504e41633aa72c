"""/batches: what is accepted and refused, what is left on the disk, what is shown and streamed."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config.errors import BrokerUnavailable, Overloaded, TooManyBatches, TooManyRows
from config.queue.batches import BatchFiles, BatchFormat, BatchRecord
from tests.web_app import assert_problem
from web import upload
from web.batch_report import report, retry_after_s
from web.batch_submission import Submission
from web.memory_batches import MemoryBatches
from web.upload import RowCount, UploadHead

NDJSON = "application/x-ndjson"
LINES = b'{"amount": 1}\n{"amount": 2}\n'


@pytest.fixture
def app(make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    return make_app(blob_dir=tmp_path / "blobs", bulk_max_bytes=1_000_000, bulk_batches_per_client=3)


@pytest.fixture
def batches(app: Flask) -> MemoryBatches:
    found: MemoryBatches = app.extensions["tollgate"].batches
    return found


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    return tmp_path / "blobs" / "batches"


def submit(client: FlaskClient, body: bytes = LINES, content_type: str = NDJSON, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/batches", data=body, content_type=content_type, headers=named)


def left_over(blobs: Path) -> list[Path]:
    return [path for path in blobs.rglob("*") if path.is_file()] if blobs.exists() else []


def decided(row: int, transaction_id: str, reasons: tuple[str, ...] = ()) -> bytes:
    """A line of results as a worker writes it."""
    why = [{"code": code, "feature": "f", "direction": "raises", "impact": 1.0, "message": ""} for code in reasons]
    return (
        json.dumps(
            {
                "row": row,
                "replayed": False,
                "decision_id": f"d-{row}",
                "transaction_id": transaction_id,
                "fraud_probability": 0.25,
                "is_fraud": False,
                "risk_score": 25,
                "risk_level": "low",
                "action": "approve",
                "reasons": why,
                "model_version": "m1",
                "scored_at": "2026-03-01T12:00:00Z",
                "degraded": False,
            }
        ).encode()
        + b"\n"
    )


@pytest.fixture
def finished(client: FlaskClient, batches: MemoryBatches, tmp_path: Path) -> BatchRecord:
    """A completed batch of two chunks and three rows, one of them refused."""
    batch_id = submit(client).json["id"]
    files = BatchFiles.of(tmp_path / "blobs", batch_id)
    for path, content in (
        (files.results(0), decided(1, "=cmd()", ("amount", "hour"))),
        (files.results(1), decided(3, 'a "b",\nc')),
        (files.errors(0), b'{"row":2}\n'),
        (files.errors(1), b""),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return batches.update(batch_id, status="completed", total=3, completed=2, failed=1, chunks=2, ended_ms=1)


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        (NDJSON, "ndjson"),
        ("application/ndjson; charset=utf-8", "ndjson"),
        ("application/jsonl", "ndjson"),
        ("application/json", "json"),
        ('text/csv; charset="UTF-8"; header=present', "csv"),
    ],
)
def test_a_batch_is_accepted_with_where_to_poll(
    client: FlaskClient, batches: MemoryBatches, tmp_path: Path, content_type: str, form: str
) -> None:
    response = submit(client, content_type=content_type)

    assert response.status_code == 202, response.data
    batch_id = response.json["id"]
    assert response.headers["Location"] == f"/batches/{batch_id}"
    assert int(response.headers["Retry-After"]) >= 1
    assert response.json["status"] == "validating"
    assert response.json["format"] == form
    assert response.json["upload_bytes"] == len(LINES)
    assert client.get(f"/batches/{batch_id}").json == response.json
    assert BatchFiles.of(tmp_path / "blobs", batch_id).upload.read_bytes() == LINES
    assert (batches.records[batch_id].client, batches.records[batch_id].is_gzip) == ("127.0.0.1", False)


def test_a_packed_upload_is_kept_as_sent(client: FlaskClient, batches: MemoryBatches, tmp_path: Path) -> None:
    packed = gzip.compress(LINES)

    batch_id = submit(client, packed, Content_Encoding="gzip").json["id"]

    assert BatchFiles.of(tmp_path / "blobs", batch_id).upload.read_bytes() == packed
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


def test_one_unfinished_batch_too_many_is_limited_and_the_next_fits_when_one_has_ended(
    client: FlaskClient, batches: MemoryBatches
) -> None:
    ids = [submit(client).json["id"] for _ in range(3)]

    response = submit(client)

    assert_problem(response, 429, "too_many_batches")
    assert int(response.headers["Retry-After"]) >= 1
    batches.update(ids[0], status="completed")
    assert submit(client).status_code == 202


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
    monkeypatch.setattr(upload.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 3}))

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


def test_batches_are_listed_newest_first_and_paged(client: FlaskClient) -> None:
    ids = [submit(client).json["id"] for _ in range(3)]

    first = client.get("/batches?limit=2").json
    second = client.get(first["next"]).json

    assert [batch["id"] for batch in first["batches"]] == [ids[2], ids[1]]
    assert [batch["id"] for batch in second["batches"]] == [ids[0]]
    assert second["next"] is None
    assert_problem(client.get("/batches?limit=0"), 422, "invalid_request")


@pytest.mark.parametrize("path", ["", "/results", "/errors"])
def test_an_unknown_batch_is_not_found(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(f"/batches/nobody{path}"), 404, "unknown_id")


def test_cancelling_waits_for_what_is_out_and_is_said_twice_without_harm(
    client: FlaskClient, batches: MemoryBatches
) -> None:
    batch_id = submit(client).json["id"]

    for _ in range(2):
        response = client.delete(f"/batches/{batch_id}")
        assert (response.status_code, response.json["status"]) == (202, "cancelling")
        assert response.headers["Retry-After"]

    batches.update(batch_id, status="in_progress", next_chunk=2, done_chunks=2)
    assert client.delete(f"/batches/{batch_id}").json["status"] == "cancelled"
    assert_problem(client.delete(f"/batches/{batch_id}"), 409, "batch_ended")
    assert_problem(client.delete("/batches/nobody"), 404, "unknown_id")


def test_a_batch_that_is_finalizing_cannot_be_cancelled(client: FlaskClient, batches: MemoryBatches) -> None:
    batch_id = submit(client).json["id"]
    batches.update(batch_id, status="finalizing")

    assert_problem(client.delete(f"/batches/{batch_id}"), 409, "batch_ended")


def test_results_are_the_chunk_files_in_order_with_their_length(client: FlaskClient, finished: BatchRecord) -> None:
    response = client.get(f"/batches/{finished.batch_id}/results")

    rows = [json.loads(line) for line in response.data.splitlines()]
    assert [row["row"] for row in rows] == [1, 3]
    assert response.mimetype == NDJSON
    assert int(response.headers["Content-Length"]) == len(response.data)
    assert response.headers["Tollgate-Rows"] == "2"


def test_results_as_csv_quote_and_disarm_what_a_client_chose(client: FlaskClient, finished: BatchRecord) -> None:
    response = client.get(f"/batches/{finished.batch_id}/results", headers={"Accept": "text/csv"})

    assert response.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert list(rows[0]) == [
        "row", "transaction_id", "decision_id", "fraud_probability", "is_fraud", "risk_score", "risk_level", "action",
        "model_version", "scored_at", "degraded", "replayed", "reasons",
    ]  # fmt: skip
    assert [row["transaction_id"] for row in rows] == ["'=cmd()", 'a "b",\nc']
    assert (rows[0]["reasons"], rows[0]["is_fraud"], rows[0]["fraud_probability"]) == ("amount;hour", "false", "0.25")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("*/*", NDJSON),
        ("application/ndjson", NDJSON),
        ("text/*", "text/csv"),
        ("text/csv;q=0.2, application/x-ndjson", NDJSON),
    ],
)
def test_accept_chooses_the_type(client: FlaskClient, finished: BatchRecord, accept: str, wanted: str) -> None:
    assert client.get(f"/batches/{finished.batch_id}/results", headers={"Accept": accept}).mimetype == wanted


def test_a_type_that_cannot_be_written_is_not_acceptable(client: FlaskClient, finished: BatchRecord) -> None:
    response = client.get(f"/batches/{finished.batch_id}/results", headers={"Accept": "application/pdf"})

    assert_problem(response, 406, "not_acceptable")


def test_results_wait_for_the_end_and_errors_do_not(
    client: FlaskClient, batches: MemoryBatches, finished: BatchRecord
) -> None:
    batches.update(finished.batch_id, status="in_progress")

    response = client.get(f"/batches/{finished.batch_id}/results")

    assert_problem(response, 409, "batch_not_finished")
    assert int(response.headers["Retry-After"]) >= 1
    assert client.get(f"/batches/{finished.batch_id}/errors").data == b'{"row":2}\n'


def test_a_cancelled_batch_gives_what_was_scored(
    client: FlaskClient, batches: MemoryBatches, finished: BatchRecord, tmp_path: Path
) -> None:
    batches.update(finished.batch_id, status="cancelled", chunks=9)
    BatchFiles.of(tmp_path / "blobs", finished.batch_id).results(0).unlink()

    rows = client.get(f"/batches/{finished.batch_id}/results").data.splitlines()

    assert [json.loads(row)["row"] for row in rows] == [3]


def test_downloads_leave_most_of_the_servers_threads_alone(
    make_app: Callable[..., Flask], finished: BatchRecord, batches: MemoryBatches, tmp_path: Path
) -> None:
    app = make_app(blob_dir=tmp_path / "blobs", web_threads=8)
    app.extensions["tollgate"].batches.records.update(batches.records)
    client, path = app.test_client(), f"/batches/{finished.batch_id}/results"
    for _ in range(3):
        client.get(path).close()
        client.head(path).close()

    slow = [client.get(path, buffered=False) for _ in range(2)]
    assert_problem(client.get(path), 503, "overloaded")
    for one in slow:
        one.close()

    assert client.get(path).status_code == 200


def test_what_has_expired_says_so(client: FlaskClient, batches: MemoryBatches, finished: BatchRecord) -> None:
    batches.update(finished.batch_id, expires_ms=1)

    assert client.get(f"/batches/{finished.batch_id}").json["status"] == "expired"
    for path in ("results", "errors"):
        assert_problem(client.get(f"/batches/{finished.batch_id}/{path}"), 410, "batch_expired")


def record(**changed: Any) -> BatchRecord:
    known: dict[str, Any] = {
        "batch_id": "b",
        "client": "c",
        "status": "in_progress",
        "format": "csv",
        "is_gzip": False,
        "upload_bytes": 10,
        "created_ms": 1_000_000,
        "started_ms": 1_000_000,
    }
    return BatchRecord(**(known | changed))


def test_the_estimate_follows_the_rate_so_far() -> None:
    half_done = record(total=1000, completed=400, failed=100)

    shown = report(half_done, now_ms=1_010_000)

    assert (shown.progress, shown.rows_per_second) == (0.5, 50.0)
    assert shown.estimated_end_at == "1970-01-01T00:17:00.000Z"
    assert retry_after_s(half_done, 1_010_000) == 10


@pytest.mark.parametrize(
    ("changed", "wait_s"),
    [
        ({"status": "validating", "started_ms": 0, "upload_bytes": 1}, 1),
        ({"status": "validating", "started_ms": 0, "upload_bytes": 10**12}, 60),
        ({"total": 10**9, "completed": 10}, 60),
        ({"status": "finalizing", "total": 10, "completed": 10}, 1),
        ({"total": 10}, 1),
    ],
)
def test_retry_after_stays_between_a_second_and_a_minute(changed: dict[str, Any], wait_s: int) -> None:
    assert retry_after_s(record(**changed), 1_010_000) == wait_s


def test_a_failed_batch_says_why(client: FlaskClient, batches: MemoryBatches) -> None:
    batch_id = submit(client).json["id"]
    batches.update(batch_id, status="failed", error_code="malformed_body", error_detail="not an array")

    assert client.get(f"/batches/{batch_id}").json["error"] == {"code": "malformed_body", "detail": "not an array"}
