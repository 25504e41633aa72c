"""Idempotency-Key on POST /batches and POST /feedback: one answer per key, freed by what is not final."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.errors import BrokerUnavailable, RequestInProgress
from tests.web_app import JSON, assert_problem
from web.idempotency import Held
from web.memory_batches import MemoryBatches, MemoryIdempotency
from web.memory_gateway import MemoryGateway
from web.ports.idempotency import Claim

LINES = b'{"amount": 1}\n'
LABEL = {"transaction_id": "t-1", "is_fraud": True}


@pytest.fixture
def app(make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    return make_app(blob_dir=tmp_path / "blobs", bulk_batches_per_client=2)


@pytest.fixture
def store(app: Flask) -> MemoryIdempotency:
    found: MemoryIdempotency = app.extensions["tollgate"].idempotency
    return found


@pytest.fixture
def batches(app: Flask) -> MemoryBatches:
    found: MemoryBatches = app.extensions["tollgate"].batches
    return found


def submit(client: FlaskClient, key: str, body: bytes = LINES, content_type: str = "application/x-ndjson") -> Any:
    return client.post("/batches", data=body, content_type=content_type, headers={"Idempotency-Key": key})


def label(client: FlaskClient, key: str, **changed: Any) -> Any:
    return client.post("/feedback", json={**LABEL, **changed}, headers={"Idempotency-Key": key})


def files_below(directory: Path) -> int:
    return sum(path.is_file() for path in directory.rglob("*"))


def test_the_same_batch_again_gets_the_first_answer_byte_for_byte(
    client: FlaskClient, batches: MemoryBatches, tmp_path: Path
) -> None:
    first = submit(client, "k1")
    again = submit(client, "k1")

    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert len(batches.records) == 1
    assert files_below(tmp_path / "blobs") == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b'{"amount": 2}\n', "application/x-ndjson"), (LINES, "text/csv"), (LINES * 2, "text/csv")],
)
def test_another_batch_under_the_same_key_is_refused(
    client: FlaskClient, batches: MemoryBatches, body: bytes, content_type: str
) -> None:
    submit(client, "k1")

    assert_problem(submit(client, "k1", body, content_type), 422, "idempotency_key_reused")
    assert len(batches.records) == 1


def test_a_replay_is_answered_when_the_client_has_no_room_for_another_batch(client: FlaskClient) -> None:
    first = submit(client, "k1")
    submit(client, "k2")

    assert_problem(submit(client, "k3"), 429, "too_many_batches")
    assert submit(client, "k1").data == first.data


def test_what_was_refused_for_a_while_frees_the_key(client: FlaskClient, batches: MemoryBatches) -> None:
    batches.failure = BrokerUnavailable()
    assert_problem(submit(client, "k1"), 503, "broker_unavailable")
    batches.failure = None

    response = submit(client, "k1", LINES * 3)

    assert response.status_code == 202
    assert "Idempotency-Replayed" not in response.headers


def test_an_upload_that_broke_off_frees_the_key(client: FlaskClient) -> None:
    broken = client.post(
        "/batches",
        data=LINES,
        content_type="application/x-ndjson",
        headers={"Idempotency-Key": "k1"},
        environ_overrides={"CONTENT_LENGTH": "500"},
    )

    assert_problem(broken, 422, "malformed_body")
    assert submit(client, "k1").status_code == 202


@pytest.mark.parametrize("path", ["/batches", "/feedback"])
def test_a_key_that_is_held_is_in_progress(client: FlaskClient, store: MemoryIdempotency, path: str) -> None:
    store.claim(path.strip("/"), "127.0.0.1", "k1")

    response = submit(client, "k1") if path == "/batches" else label(client, "k1")

    assert_problem(response, 409, "request_in_progress")
    assert int(response.headers["Retry-After"]) >= 1


def test_a_key_whose_process_died_is_free_again(client: FlaskClient, store: MemoryIdempotency) -> None:
    held = store.claim("batches", "127.0.0.1", "k1")
    assert isinstance(held, Claim)

    store.forget(held)

    assert submit(client, "k1").status_code == 202


def test_who_lost_its_key_accepts_nothing(
    client: FlaskClient,
    batches: MemoryBatches,
    store: MemoryIdempotency,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def stalled(self: MemoryBatches, _client: str) -> None:
        monkeypatch.undo()
        store._content["batches:127.0.0.1:k1"] = b"another"

    monkeypatch.setattr(MemoryBatches, "check_room", stalled)

    assert_problem(submit(client, "k1"), 409, "request_in_progress")
    assert batches.records == {}
    assert files_below(tmp_path / "blobs") == 0
    assert store._content["batches:127.0.0.1:k1"] == b"another"


@pytest.mark.parametrize("key", ["", "k" * 256, "a b", "ü", "tab\tbed"])
@pytest.mark.parametrize("path", ["/batches", "/feedback"])
def test_a_key_that_is_none_is_refused(client: FlaskClient, key: str, path: str) -> None:
    content_type = "application/x-ndjson" if path == "/batches" else JSON

    response = client.post(path, data=LINES, content_type=content_type, environ_overrides={"HTTP_IDEMPOTENCY_KEY": key})

    assert_problem(response, 422, "invalid_request")


def test_a_label_is_kept_once_and_answered_twice(
    client: FlaskClient, gateway: MemoryGateway, predict: Callable[..., Any]
) -> None:
    predict(transaction_id="t-1")

    first, again = label(client, "k1"), label(client, "k1")

    assert (again.status_code, again.data) == (200, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(gateway.labels) == 1
    assert_problem(label(client, "k1", is_fraud=False), 422, "idempotency_key_reused")


def test_a_label_that_is_invalid_stays_invalid_and_one_that_is_unknown_may_become_known(
    client: FlaskClient, predict: Callable[..., Any]
) -> None:
    invalid = label(client, "k1", source="gossip")
    again = label(client, "k1", source="gossip")
    assert (again.status_code, again.data, again.mimetype) == (422, invalid.data, "application/problem+json")
    assert again.headers["Idempotency-Replayed"] == "true"

    assert_problem(label(client, "k2"), 404, "unknown_id")
    predict(transaction_id="t-1")
    assert label(client, "k2").status_code == 200


def test_a_label_whose_answer_was_lost_keeps_its_id(
    client: FlaskClient, gateway: MemoryGateway, store: MemoryIdempotency, predict: Callable[..., Any]
) -> None:
    predict(transaction_id="t-1")
    label(client, "k1")
    store._content.clear()

    label(client, "k1")

    ids = [kept.label_id for kept, _ in gateway.labels]
    assert len(ids) == 2
    assert len(set(ids)) == 1, "the same id: the ledger keeps one"


def test_a_crash_frees_the_key(
    client: FlaskClient, gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch, predict: Callable[..., Any]
) -> None:
    predict(transaction_id="t-1")
    monkeypatch.setattr(MemoryGateway, "record_label", lambda *_: 1 / 0)
    assert_problem(label(client, "k1"), 500, "internal_error")
    monkeypatch.undo()

    assert label(client, "k1").status_code == 200


def test_without_a_broker_a_key_cannot_be_honoured_and_nothing_is_done(
    client: FlaskClient, gateway: MemoryGateway, store: MemoryIdempotency, predict: Callable[..., Any]
) -> None:
    predict(transaction_id="t-1")
    store.failure = BrokerUnavailable()

    assert_problem(label(client, "k1"), 503, "broker_unavailable")
    assert gateway.labels == []


def test_a_long_upload_holds_its_key_through_a_hiccup_of_the_broker(
    store: MemoryIdempotency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.idempotency.REFRESH_EVERY_S", 0.0)
    claim = store.claim("batches", "c", "k")
    assert isinstance(claim, Claim)
    held = Held(store, claim)

    store.failure = BrokerUnavailable()
    held.refresh()
    store.failure = None
    held.refresh()
    store._content[claim.key] = b"another"

    with pytest.raises(RequestInProgress):
        held.refresh()
