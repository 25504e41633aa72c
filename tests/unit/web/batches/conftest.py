"""An app with room for three batches a client, and a finished batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.queue.batches import BatchRecord
from tests.batch_paths import BatchPaths
from tests.web_batches import decided, submit
from web.memory_batches import MemoryBatches


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


@pytest.fixture
def finished(client: FlaskClient, batches: MemoryBatches, tmp_path: Path) -> BatchRecord:
    """A completed batch of two chunks and three rows, one of them refused."""
    batch_id = submit(client).json["id"]
    files = BatchPaths.of(tmp_path / "blobs", batch_id)
    for path, content in (
        (files.results(0), decided(1, "=cmd()", ("amount", "hour"))),
        (files.results(1), decided(3, 'a "b",\nc')),
        (files.errors(0), b'{"row":2}\n'),
        (files.errors(1), b""),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return batches.update(batch_id, status="completed", total=3, completed=2, failed=1, chunks=2, ended_ms=1)
