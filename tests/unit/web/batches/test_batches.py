"""/batches: what is accepted, listed, cancelled, limited."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.batch_paths import BatchPaths
from tests.web_app import assert_problem
from tests.web_batches import LINES, NDJSON, submit
from web.memory_batches import MemoryBatches


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
    assert BatchPaths.of(tmp_path / "blobs", batch_id).upload.read_bytes() == LINES
    assert (batches.records[batch_id].client, batches.records[batch_id].is_gzip) == ("127.0.0.1", False)


def test_one_unfinished_batch_too_many_is_limited_and_the_next_fits_when_one_has_ended(
    client: FlaskClient, batches: MemoryBatches
) -> None:
    ids = [submit(client).json["id"] for _ in range(3)]

    response = submit(client)

    assert_problem(response, 429, "too_many_batches")
    assert int(response.headers["Retry-After"]) >= 1
    batches.update(ids[0], status="completed")
    assert submit(client).status_code == 202


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


def test_a_failed_batch_says_why(client: FlaskClient, batches: MemoryBatches) -> None:
    batch_id = submit(client).json["id"]
    batches.update(batch_id, status="failed", error_code="malformed_body", error_detail="not an array")

    assert client.get(f"/batches/{batch_id}").json["error"] == {"code": "malformed_body", "detail": "not an array"}
