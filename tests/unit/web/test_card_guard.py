"""Card numbers at the door: refused by field before anything is kept, in payments, labels and headers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.web_app import JSON, PAYMENT, assert_problem
from web.label_rows import read_label_rows
from web.labels import label_guard
from web.memory_gateway import MemoryGateway

VISA = "4111 1111 1111 1111"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
NDJSON = "application/x-ndjson"


def test_a_payment_with_a_card_number_is_refused_and_nothing_is_kept(
    predict: Callable[..., Any], gateway: MemoryGateway
) -> None:
    for prefer in ({}, {"Prefer": "respond-async"}):
        response = predict(account_id=VISA, headers=prefer)

        document = assert_problem(response, 422, "card_number")
        assert [error["pointer"] for error in document["errors"]] == ["/account_id"]
        assert b"1111" not in response.data

    assert gateway.decided() == []
    assert gateway.work_off() == 0


@pytest.mark.parametrize("field", ["transaction_id", "label_id", "reason_code", "what"])
def test_a_label_with_a_card_number_is_refused_by_field(client: FlaskClient, field: str) -> None:
    label = {"transaction_id": "t-1", "is_fraud": True} | {field: VISA}

    response = client.post("/feedback", data=json.dumps(label), content_type=JSON)

    document = assert_problem(response, 422, "card_number")
    assert [error["pointer"] for error in document["errors"]] == [f"/{field}"]
    assert b"1111" not in response.data


def test_a_payment_sent_as_feedback_is_judged_like_one(client: FlaskClient) -> None:
    body = json.dumps(PAYMENT | {"merchant_id": VISA})

    assert_problem(client.post("/feedback?actual_label=true", data=body, content_type=JSON), 422, "card_number")


def test_a_row_with_a_card_number_is_refused_and_its_neighbours_are_taken(
    predict: Callable[..., Any], client: FlaskClient
) -> None:
    predict(transaction_id="t-1")
    rows = [{"transaction_id": "t-1", "is_fraud": True}, {"transaction_id": VISA, "is_fraud": True}]

    response = client.post("/feedback", data="\n".join(map(json.dumps, rows)), content_type=NDJSON)

    assert (response.status_code, response.json["accepted"]) == (207, 1)
    assert [(error["line"], error["code"]) for error in response.json["errors"]] == [(2, "card_number")]
    assert b"1111" not in response.data


def test_a_masked_label_is_about_the_masked_payment_and_its_own_id_is_made_of_that() -> None:
    def kept(sent: str, form: Any) -> Any:
        [row] = read_label_rows([sent.encode()], form, now=NOW, cards=label_guard("mask"))
        return row.label

    in_json = kept(f'{{"transaction_id": "{VISA}", "is_fraud": true}}', "ndjson")
    in_csv = kept(f"transaction_id,is_fraud\n{VISA.replace(' ', '')},1", "csv")

    assert in_json == in_csv
    assert in_json.transaction_id == "411111******1111"


def test_an_idempotency_key_is_no_place_for_one_either(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": VISA.replace(" ", "-")}

    response = client.post(
        "/feedback", data='{"transaction_id": "t", "is_fraud": true}', content_type=JSON, headers=headers
    )

    assert_problem(response, 422, "card_number")


def test_a_refused_label_leaves_its_idempotency_key_free(client: FlaskClient, predict: Callable[..., Any]) -> None:
    predict(transaction_id="t-1")
    headers = {"Idempotency-Key": "k-1"}

    refused, taken = (
        client.post("/feedback", json={"transaction_id": name, "is_fraud": True}, headers=headers)
        for name in (VISA, "t-1")
    )

    assert (refused.status_code, taken.status_code) == (422, 200)
