"""GET /batches/{id}/results and /errors: what is streamed, when, as which type."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.queue.batches import BatchRecord
from tests.batch_paths import BatchPaths
from tests.web_app import assert_problem
from tests.web_batches import NDJSON
from web.memory_batches import MemoryBatches


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
    BatchPaths.of(tmp_path / "blobs", finished.batch_id).results(0).unlink()

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
