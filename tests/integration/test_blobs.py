"""The blob store as a directory and as a bucket: the same promises, and a whole batch through a bucket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from config import names
from config.blobs import s3_streams
from config.blobs.choice import blobs_of
from config.blobs.store import Blob, BlobStore
from config.errors import BlobsUnavailable
from config.queue.batches import BatchFiles
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.bulk_bench import Bench, payments
from tests.s3_server import BUCKET, CREDENTIALS, RunningS3, running_s3
from tests.servers import free_port
from tests.web_app import assert_problem, build_app, decide_by_amount
from web.memory_gateway import MemoryGateway
from workers.bulk.index import build_index, read_range
from workers.upkeep import batches as upkeep

FIRST = b'{"amount":1}\n'


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with pytest.MonkeyPatch.context() as patch, running_s3() as server:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def bucket(s3: RunningS3, tmp_path: Path) -> dict[str, Any]:
    """Settings that name a prefix of its own for each test."""
    return {"blob_url": f"s3://{BUCKET}/{tmp_path.name}", "blob_endpoint_url": s3.endpoint_url}


@pytest.fixture(params=["directory", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    where = request.getfixturevalue("bucket") if request.param == "bucket" else {"blob_dir": tmp_path}
    return blobs_of(Settings(**where))


@pytest.fixture
def make_bulk_app(s3: RunningS3) -> Callable[..., Flask]:
    schema = load_schema(DEFAULT_SCHEMA)

    def make(**settings: Any) -> Flask:
        gateway = MemoryGateway(decide_by_amount)
        return build_app(Settings(**settings), gateway, schema, compile_validator(schema))

    return make


def put(blobs: BlobStore, name: str, content: bytes) -> None:
    with blobs.blob(name).written() as file:
        file.write(content)


def read(blob: Blob) -> bytes:
    with blob.open() as file:
        return file.read()


def test_a_blob_is_read_from_anywhere_replaced_and_removed(blobs: BlobStore) -> None:
    put(blobs, "a/one", b"first")
    put(blobs, "a/one", b"0123456789\nnext\n")

    one = blobs.blob("a/one")
    with one.open(end=12) as file:
        assert file.seek(8) == 8
        assert file.readline() == b"89\n"
        assert file.read(1) == b"n"
        file.seek(0, 2)
        assert file.tell() == one.size() == 16
    assert one.exists()

    one.remove()
    one.remove()
    assert not one.exists()
    for look in (one.size, lambda: read(one)):
        with pytest.raises(FileNotFoundError):
            look()


def test_what_breaks_off_leaves_nothing(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_streams, "PART_BYTES", 5 << 20)

    with suppress(ConnectionError), blobs.blob("a/half").written() as file:
        file.write(bytes(6 << 20))
        raise ConnectionError("the client went away")

    assert not blobs.blob("a/half").exists()
    assert list(blobs.listed("a")) == []


def test_large_blobs_travel_in_parts_and_windows(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_streams, "PART_BYTES", 5 << 20)
    line = b"%07d\n"
    content = b"".join([line % number for number in range(1_500_000)])

    with blobs.blob("large").written() as file:
        for start in range(0, len(content), 1_000_000):
            file.write(content[start : start + 1_000_000])

    with blobs.blob("large").open() as file:
        assert file.read() == content
        file.seek(8 * 1_000_000)
        assert file.readline() == line % 1_000_000


def test_folders_are_listed_in_order_dated_and_removed(blobs: BlobStore) -> None:
    for name in ("b/x/000001", "b/x/000000", "b/y/deep/1", "b/z"):
        put(blobs, name, b"12")
    put(blobs, "bb/other", b"")

    assert [(read(one.blob), one.size) for one in blobs.listed("b/x")] == [(b"12", 2)] * 2
    dated = {folder.name: folder.written_at_s for folder in blobs.folders("b")}
    assert {"x", "y"} <= set(dated)
    assert abs(dated["x"] - time.time()) < 60

    blobs.remove_folder("b")

    assert list(blobs.listed("b/x")) == list(blobs.folders("b")) == []
    assert read(blobs.blob("bb/other")) == b""


def test_a_chunk_is_read_by_its_own_range(blobs: BlobStore) -> None:
    files = BatchFiles.of(blobs, "b1")
    put(blobs, "batches/b1/upload", FIRST * 5)

    limits = {"chunk_rows": 2, "max_rows": 10, "max_row_bytes": 100}
    assert build_index(files, "ndjson", **limits, alive=lambda: None) == (5, 3)

    where = read_range(files, 1)
    assert (where.start, where.end, where.first_row) == (2 * len(FIRST), 4 * len(FIRST), 3)


def test_a_whole_batch_runs_through_a_bucket(
    s3: RunningS3, bucket: dict[str, Any], redis_url: str, redis_client: Redis, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    bench = Bench(redis_url, redis_client, tmp_path / "data", **bucket)
    rows = payments(10)
    rows[3]["amount"] = -1
    bench.accept(rows)
    bench.settle()

    assert (bench.batch().status, bench.batch().completed, bench.batch().failed) == ("completed", 9, 1)
    assert [line["row"] for line in bench.results()] == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert [line["row"] for line in bench.errors()] == [4]
    prefix = f"{tmp_path.name}/batches/b1/"
    assert [key.removeprefix(prefix) for key in s3.keys(prefix)] == [
        "errors/000000.ndjson", "index", "results/000000.ndjson", "results/000001.ndjson", "results/000002.ndjson",
        "upload",
    ]  # fmt: skip
    assert not bench.settings.blob_dir.exists()

    monkeypatch.setattr(upkeep, "ORPHANED_AFTER_S", -60.0)
    assert upkeep.remove_orphans(bench.background) == {"batch_directories": 0}
    put(blobs_of(bench.settings), "batches/nobody/upload", b"x")
    assert upkeep.remove_orphans(bench.background) == {"batch_directories": 1}
    bench.client.hset(names.batch_key("b1"), "expires_ms", 1)
    bench.client.zadd(names.BATCHES, {"b1": 1})
    assert upkeep.expire_batches(bench.background) == {"batches_expired": 1}
    assert s3.keys(f"{tmp_path.name}/") == []
    bench.close()


def test_an_upload_goes_to_the_bucket_and_its_results_come_from_there(
    s3: RunningS3, bucket: dict[str, Any], make_bulk_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_bulk_app(**bucket, bulk_max_rows=3)
    client, batches = app.test_client(), app.extensions["tollgate"].batches

    batch_id = client.post("/batches", data=FIRST * 3, content_type="application/x-ndjson").json["id"]

    assert s3.keys(tmp_path.name) == [f"{tmp_path.name}/batches/{batch_id}/upload"]
    blobs = blobs_of(app.extensions["tollgate"].settings)
    for chunk in (0, 1):
        with BatchFiles.of(blobs, batch_id).results(chunk).written() as file:
            file.write(b'{"row":%d}\n' % (chunk + 1))
    batches.update(batch_id, status="completed", total=2, completed=2, chunks=2, ended_ms=1)
    answer = client.get(f"/batches/{batch_id}/results")
    assert (answer.data, answer.content_length) == (b'{"row":1}\n{"row":2}\n', 20)

    refused = client.post("/batches", data=FIRST * 4, content_type="application/x-ndjson")
    assert refused.status_code == 413
    assert len(s3.keys(tmp_path.name)) == 3


def test_a_store_that_is_gone_is_a_503_and_nothing_is_accepted(
    make_bulk_app: Callable[..., Flask],
) -> None:
    app = make_bulk_app(blob_url=f"s3://{BUCKET}", blob_endpoint_url=f"http://127.0.0.1:{free_port()}")

    answer = app.test_client().post("/batches", data=FIRST, content_type="application/x-ndjson")

    assert_problem(answer, 503, "storage_unavailable")
    assert answer.headers["Retry-After"]
    assert app.extensions["tollgate"].batches.records == {}
    with pytest.raises(BlobsUnavailable, match="does not answer"):
        blobs_of(app.extensions["tollgate"].settings).blob("any").size()
