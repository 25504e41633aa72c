"""POST /feedback: both forms, what is refused, what is answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from config.errors import BrokerUnavailable, InvalidRequest
from tests.web_app import JSON, PAYMENT, assert_problem
from web.labels import parse_label
from web.memory_gateway import MemoryGateway

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def decision(predict: Callable[..., Any]) -> dict[str, Any]:
    decided: dict[str, Any] = predict(transaction_id="t-1").json
    return decided


@pytest.mark.parametrize("query", ["actual_label=false", "actual_label=true", "actual_label=True", "actual_label=1"])
def test_the_seeds_form_finds_its_decision_by_content(
    client: FlaskClient, predict: Callable[..., Any], query: str
) -> None:
    decision = predict().json

    response = client.post(f"/feedback?{query}", data=json.dumps(PAYMENT), content_type=JSON)

    assert response.status_code == 200
    assert response.json["matched"] is True
    assert response.json["decision_id"] == decision["decision_id"]
    assert response.json["is_fraud"] is (query.lower() in ("actual_label=true", "actual_label=1"))
    assert response.json["source"] == "api"


def test_the_order_of_keys_does_not_hide_the_decision(client: FlaskClient, predict: Callable[..., Any]) -> None:
    predict()
    body = json.dumps(dict(reversed(PAYMENT.items())))

    response = client.post("/feedback?actual_label=true", data=body, content_type=JSON)

    assert response.json["matched"] is True


def test_content_never_scored_is_kept_as_a_labelled_transaction(client: FlaskClient, gateway: MemoryGateway) -> None:
    response = client.post("/feedback?actual_label=true", json={**PAYMENT, "amount": 7.0})

    assert response.status_code == 200
    assert (response.json["matched"], response.json["decision_id"]) == (False, None)
    kept, _ = gateway.labels[0]
    assert kept.values is not None
    assert kept.values[0] == 7.0


@pytest.mark.parametrize("name", ["transaction_id", "decision_id"])
def test_a_label_by_id_is_stored_against_its_decision(client: FlaskClient, decision: dict[str, Any], name: str) -> None:
    label = {
        name: decision[name],
        "is_fraud": True,
        "source": "chargeback",
        "reason_code": "10.4",
        "known_at": "2026-02-01T08:00:00+01:00",
        "amount": 12.5,
    }

    response = client.post("/feedback", json=label)

    assert response.status_code == 200
    assert response.json["decision_id"] == decision["decision_id"]
    assert response.json["transaction_id"] == "t-1"
    kept = ("is_fraud", "source", "reason_code", "known_at", "amount")
    assert {key: response.json[key] for key in kept} == {key: label[key] for key in kept}
    assert response.json["label_id"]


def test_the_clients_label_id_is_kept(client: FlaskClient, decision: dict[str, Any]) -> None:
    response = client.post("/feedback", json={"transaction_id": "t-1", "is_fraud": False, "label_id": "cb-9"})

    assert response.json["label_id"] == "cb-9"


@pytest.mark.parametrize("name", ["transaction_id", "decision_id"])
def test_an_unknown_id_is_not_found(client: FlaskClient, name: str) -> None:
    assert_problem(client.post("/feedback", json={name: "nobody", "is_fraud": True}), 404, "unknown_id")


@pytest.mark.parametrize("value", ["2", "yes", "", "maybe", "true&actual_label=false"])
def test_an_actual_label_that_is_no_boolean_is_refused(client: FlaskClient, value: str) -> None:
    response = client.post(f"/feedback?actual_label={value}", json=PAYMENT)

    document = assert_problem(response, 422, "invalid_request")
    assert document["errors"][0]["pointer"] == "?actual_label"


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"is_fraud": "true"}, "/is_fraud"),
        ({"is_fraud": 1}, "/is_fraud"),
        ({"is_fraud": None}, "/is_fraud"),
        ({"source": "gossip"}, "/source"),
        ({"source": ["rule"]}, "/source"),
        ({"known_at": "yesterday"}, "/known_at"),
        ({"known_at": "2026-01-01T00:00:00"}, "/known_at"),
        ({"known_at": 1700000000}, "/known_at"),
        ({"known_at": "2999-01-01T00:00:00Z"}, "/known_at"),
        ({"amount": -1}, "/amount"),
        ({"amount": "12"}, "/amount"),
        ({"amount": True}, "/amount"),
        ({"reason_code": "x" * 65}, "/reason_code"),
        ({"reason_code": 5}, "/reason_code"),
        ({"transaction_id": ""}, "/transaction_id"),
        ({"transaction_id": 5}, "/transaction_id"),
        ({"transaction_id": "x" * 129}, "/transaction_id"),
        ({"decision_id": "d-1"}, "/transaction_id"),
        ({"fraud": True}, "/fraud"),
        ({"a/b": True}, "/a~1b"),
    ],
)
def test_a_bad_field_of_a_label_is_named(client: FlaskClient, changed: dict[str, Any], pointer: str) -> None:
    response = client.post("/feedback", json={"transaction_id": "t-1", "is_fraud": True, **changed})

    document = assert_problem(response, 422, "invalid_request")
    assert [error["pointer"] for error in document["errors"]] == [pointer]


def test_a_payment_without_actual_label_says_what_is_missing(client: FlaskClient) -> None:
    document = assert_problem(client.post("/feedback", json=PAYMENT), 422, "invalid_request")

    assert {"/is_fraud", "/transaction_id", "/amount"} - {e["pointer"] for e in document["errors"]} == {"/amount"}
    assert "actual_label" in document["detail"]


def test_a_broker_that_is_down_refuses_labels_with_retry_after(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.failure = BrokerUnavailable()

    response = client.post("/feedback?actual_label=true", json=PAYMENT)

    assert_problem(response, 503, "broker_unavailable")
    assert int(response.headers["Retry-After"]) >= 1


def test_a_label_known_now_unless_it_says_otherwise() -> None:
    label = parse_label(b'{"transaction_id": "t", "is_fraud": true}', now=NOW)

    assert (label.known_at, label.source, label.is_fraud) == (NOW, "api", True)


def test_a_label_names_every_mistake_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_label(b'{"source": 1, "amount": "x", "what": 1}', now=NOW)

    pointers = {error.pointer for error in refused.value.errors}
    assert pointers == {"/source", "/amount", "/what", "/is_fraud", "/transaction_id"}
