"""Whose work it is: the audit trail's actor, and what idempotency keys and open batches are counted by."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.unit.web.auth.conftest import ADMIN_KEY, MakeKey, bearer
from tests.web_app import PAYMENT, assert_problem
from web.memory_gateway import MemoryGateway

LABEL = {"transaction_id": "t-1", "is_fraud": True}


def test_who_asks_for_a_training_is_known_by_the_key(guarded: Flask, door: FlaskClient, make_key: MakeKey) -> None:
    models = guarded.extensions["tollgate"].models
    models.jobs.clear()

    job = door.post("/retrain", headers=bearer(make_key("operate", name="night-shift"))).json

    assert (models.jobs[-1].job_id, models.jobs[-1].actor) == (job["job_id"], "key:night-shift")


def test_on_an_open_stack_the_actor_is_the_api(client: FlaskClient, app: Flask) -> None:
    models = app.extensions["tollgate"].models
    models.jobs.clear()

    client.post("/retrain")

    assert models.jobs[-1].actor == "api"
    models.jobs.clear()


@pytest.mark.parametrize("headers", [{}, {"Prefer": "respond-async"}, {"Prefer": "wait=0"}])
def test_a_decision_names_the_key_that_sent_it_first(
    door: FlaskClient, gateway: MemoryGateway, make_key: MakeKey, headers: dict[str, str]
) -> None:
    sender, other = bearer(make_key("score", "read", name="till-7")), bearer(make_key("score", name="till-8"))
    payment = {**PAYMENT, "transaction_id": f"sent-by-{headers.get('Prefer', 'sync')}"}

    for credentials in (sender, other):
        assert door.post("/predict", json=payment, headers={**headers, **credentials}).status_code in (200, 202)
    gateway.work_off()

    assert door.get(f"/decisions/{payment['transaction_id']}", headers=sender).json["client"] == "key:till-7"


def test_on_an_open_stack_a_decision_names_nobody(client: FlaskClient) -> None:
    client.post("/predict", json={**PAYMENT, "transaction_id": "t-1"})

    assert client.get("/decisions/t-1").json["client"] == ""


@pytest.mark.parametrize("path", ["/feedback", "/batches"])
def test_an_idempotency_key_of_one_client_never_finds_anothers_answer(
    door: FlaskClient, make_key: MakeKey, path: str
) -> None:
    door.post("/predict", json={**PAYMENT, "transaction_id": "t-1"}, headers=bearer(ADMIN_KEY))
    one, other = (bearer(make_key("score", "feedback")) for _ in range(2))
    body = LABEL if path == "/feedback" else [PAYMENT]
    key = {"Idempotency-Key": f"same-{path[1:]}"}

    first = door.post(path, json=body, headers={**one, **key})
    again = door.post(path, json=body, headers={**one, **key})
    others = door.post(path, json=body, headers={**other, **key})

    assert first.status_code in (200, 202)
    assert (again.headers["Idempotency-Replayed"], again.data) == ("true", first.data)
    assert "Idempotency-Replayed" not in others.headers
    assert others.data != first.data


def test_a_rotated_key_finds_the_answers_of_the_one_before(door: FlaskClient, make_key: MakeKey) -> None:
    old = make_key("score")
    key = {"Idempotency-Key": "over-a-rotation"}
    first = door.post("/batches", json=[PAYMENT], headers={**bearer(old), **key})

    new = door.post(f"/keys/{old[3:11]}/rotate", headers=bearer(ADMIN_KEY)).json["api_key"]

    assert door.post("/batches", json=[PAYMENT], headers={**bearer(new), **key}).data == first.data


def test_open_batches_are_counted_by_key_and_not_by_address(
    guarded: Flask, door: FlaskClient, make_key: MakeKey
) -> None:
    limit = guarded.extensions["tollgate"].settings.bulk_batches_per_client
    busy, idle = bearer(make_key("score")), bearer(make_key("score"))
    for _ in range(limit):
        assert door.post("/batches", json=[PAYMENT], headers=busy).status_code == 202

    assert_problem(door.post("/batches", json=[PAYMENT], headers=busy), 429, "too_many_batches")
    assert door.post("/batches", json=[PAYMENT], headers=idle).status_code == 202
