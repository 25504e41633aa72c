"""POST /predict and GET /predictions/{id}: the answers, the preferences, the ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.errors import BrokerUnavailable, Overloaded
from tests.web_app import JSON, PAYMENT, assert_problem
from web.memory_gateway import MemoryGateway

Predict = Callable[..., Any]
DECISION_FIELDS = {
    "decision_id", "transaction_id", "fraud_probability", "is_fraud", "risk_score", "risk_level", "action",
    "reasons", "model_version", "scored_at", "degraded",
}  # fmt: skip


def test_the_seeds_request_gets_a_complete_decision(predict: Predict) -> None:
    response = predict()

    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.content_length == len(response.data)
    assert set(response.json) == DECISION_FIELDS
    assert response.json["action"] == "decline"


def test_the_decision_is_passed_on_byte_for_byte(predict: Predict, gateway: MemoryGateway) -> None:
    response = predict(transaction_id="t-1")

    assert response.data == gateway.find("t-1").decision_json


def test_a_payment_without_an_id_gets_one_that_can_be_polled(predict: Predict, client: FlaskClient) -> None:
    decision = predict().json

    polled = client.get(f"/predictions/{decision['transaction_id']}")

    assert polled.status_code == 200
    assert polled.json == decision


def test_a_repeated_submission_gets_the_first_decision_and_says_so(predict: Predict) -> None:
    first, second = predict(transaction_id="t-1"), predict(transaction_id="t-1")

    assert "Tollgate-Replayed" not in first.headers
    assert second.headers["Tollgate-Replayed"] == "true"
    assert second.data == first.data


def test_the_same_id_with_other_content_is_a_conflict(predict: Predict) -> None:
    predict(transaction_id="t-1")

    assert_problem(predict(transaction_id="t-1", amount=2.0), 409, "transaction_conflict")


def test_respond_async_is_accepted_at_once_and_decided_later(
    predict: Predict, client: FlaskClient, gateway: MemoryGateway
) -> None:
    accepted = predict(transaction_id="t-1", headers={"Prefer": "respond-async"})

    assert accepted.status_code == 202
    assert accepted.headers["Preference-Applied"] == "respond-async"
    assert accepted.headers["Location"] == "/predictions/t-1"
    assert int(accepted.headers["Retry-After"]) >= 1
    assert accepted.json["status"] == "pending"
    waiting = client.get("/predictions/t-1")
    assert (waiting.status_code, waiting.headers["Location"]) == (202, "/predictions/t-1")

    gateway.work_off()

    assert client.get("/predictions/t-1").json["transaction_id"] == "t-1"


def test_respond_async_of_a_decided_payment_returns_the_decision(predict: Predict) -> None:
    first = predict(transaction_id="t-1")

    again = predict(transaction_id="t-1", headers={"Prefer": "respond-async"})

    assert (again.status_code, again.data) == (200, first.data)


def test_wait_zero_does_not_wait(predict: Predict) -> None:
    response = predict(headers={"Prefer": "wait=0"})

    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "wait=0"


def test_wait_zero_of_a_decided_payment_returns_the_decision(predict: Predict) -> None:
    first = predict(transaction_id="t-1")

    assert predict(transaction_id="t-1", headers={"Prefer": "wait=0"}).data == first.data


def test_a_longer_wait_than_allowed_is_capped(predict: Predict) -> None:
    response = predict(headers={"Prefer": "wait=900"})

    assert response.status_code == 200
    assert response.headers["Preference-Applied"] == "wait=5"


def test_no_preference_means_no_preference_applied(predict: Predict) -> None:
    assert "Preference-Applied" not in predict(headers={"Prefer": "handling=lenient"}).headers


def test_a_deadline_that_passes_becomes_a_durable_202(predict: Predict, gateway: MemoryGateway) -> None:
    gateway.is_stalled = True

    response = predict(transaction_id="t-1")

    assert response.status_code == 202
    assert gateway.find("t-1").status == "pending"


def test_late_fallback_refuse_accepts_nothing(make_app: Callable[..., Flask], gateway: MemoryGateway) -> None:
    gateway.is_stalled = True
    client = make_app(late_fallback="refuse").test_client()

    response = client.post("/predict", json={**PAYMENT, "transaction_id": "t-1"})

    assert_problem(response, 503, "overloaded")
    assert int(response.headers["Retry-After"]) >= 1
    assert gateway.find("t-1").status == "unknown"


def test_late_fallback_rules_decides_at_once_and_marks_it(
    make_app: Callable[..., Flask], gateway: MemoryGateway
) -> None:
    gateway.is_stalled = True
    client = make_app(late_fallback="rules").test_client()

    response = client.post("/predict", json={**PAYMENT, "transaction_id": "t-1"})

    assert response.status_code == 200
    assert response.json["degraded"] is True
    assert client.get("/predictions/t-1").data == response.data


def test_who_prefers_async_polls_even_where_rules_decide_late_scores(
    make_app: Callable[..., Flask], gateway: MemoryGateway
) -> None:
    gateway.is_stalled = True
    client = make_app(late_fallback="rules").test_client()

    response = client.post("/predict", json=PAYMENT, headers={"Prefer": "respond-async, wait=1"})

    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "respond-async, wait=1"


@pytest.mark.parametrize("failure", [Overloaded(retry_after_s=0.2), BrokerUnavailable(retry_after_s=2.1)])
@pytest.mark.parametrize("prefer", ["", "respond-async"])
def test_a_refused_payment_says_when_to_come_back(
    predict: Predict, gateway: MemoryGateway, failure: Overloaded, prefer: str
) -> None:
    gateway.failure = failure

    response = predict(headers={"Prefer": prefer})

    assert_problem(response, 503, failure.code)
    assert int(response.headers["Retry-After"]) == (1 if failure.retry_after_s == 0.2 else 3)


def test_explain_is_passed_to_the_gateway(client: FlaskClient, gateway: MemoryGateway) -> None:
    asked: list[bool] = []
    decide = gateway.decide
    gateway.decide = lambda transaction, transaction_id, explain: (
        asked.append(explain) or decide(transaction, transaction_id, explain)
    )

    for query in ("?explain=true", "?explain=false", ""):
        client.post(f"/predict{query}", json=PAYMENT)

    assert asked == [True, False, False]


@pytest.mark.parametrize("query", ["?explain=yes", "?explain=", "?explain=true&explain=true", "?verbose=1"])
def test_a_bad_query_parameter_is_named(predict: Predict, query: str) -> None:
    document = assert_problem(predict(query=query), 422, "invalid_request")

    assert document["errors"][0]["pointer"] in ("?explain", "?verbose")


def test_flask_alone_answers_predict_as_the_front_door_does(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    direct = app.test_client().post("/predict", json={**PAYMENT, "transaction_id": "t-1"})
    app.wsgi_app = app.wsgi_app._inner  # type: ignore[attr-defined, method-assign]

    through_flask = app.test_client().post("/predict", json={**PAYMENT, "transaction_id": "t-1"})

    assert through_flask.data == direct.data
    assert through_flask.content_type == direct.content_type


@pytest.mark.parametrize("transaction_id", ["a/b", "../../etc/passwd", "ünïcode-✓", "a b?c#d%20", "x" * 128])
def test_any_allowed_id_can_be_polled_at_its_location(
    predict: Predict, client: FlaskClient, gateway: MemoryGateway, transaction_id: str
) -> None:
    accepted = predict(transaction_id=transaction_id, headers={"Prefer": "respond-async"})
    assert accepted.status_code == 202, accepted.data
    gateway.work_off()

    polled = client.get(accepted.headers["Location"])

    assert polled.status_code == 200, accepted.headers["Location"]
    assert polled.json["transaction_id"] == transaction_id


@pytest.mark.parametrize(
    "path", ["nope", "x" * 129, "x" * 5000, "%00", "..%2f..%2fetc%2fpasswd", "%ff%fe", "%F0%9F%92%B8"]
)
def test_an_unknown_or_impossible_id_is_not_found(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(f"/predictions/{path}"), 404, "unknown_id")


def test_an_id_with_a_line_break_cannot_split_a_header(client: FlaskClient) -> None:
    assert client.get("/predictions/a%0d%0aX-Evil:%201").status_code == 404


def test_an_id_longer_than_any_is_refused_by_name(predict: Predict) -> None:
    document = assert_problem(predict(transaction_id="x" * 129), 422, "invalid_transaction")

    assert [error["pointer"] for error in document["errors"]] == ["/transaction_id"]


def test_an_unknown_category_is_scored(predict: Predict) -> None:
    assert predict(merchant_category="never seen before").status_code == 200


def test_a_crash_in_scoring_is_a_500_without_its_inside(
    client: FlaskClient, gateway: MemoryGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: object) -> Any:
        raise RuntimeError("secret of the inside")

    gateway.decide = crash

    response = client.post("/predict", data=json.dumps(PAYMENT), content_type=JSON)

    assert_problem(response, 500, "internal_error")
    assert b"secret" not in response.data
    assert capsys.readouterr().out.count("request crashed") == 1
