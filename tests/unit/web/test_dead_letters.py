"""The dead letters over HTTP, and what a client hears of a transaction that was given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from config.errors import BrokerUnavailable
from tests.web_app import PAYMENT, assert_problem
from web.memory_gateway import MemoryGateway

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def given_up(predict: Callable[..., Any], gateway: MemoryGateway) -> str:
    """The id of a transaction whose every attempt failed."""
    predict(headers=ASYNC, transaction_id="t/1")
    gateway.give_up("t/1", failure="it failed")
    return "t/1"


def test_a_dead_letter_shows_names_and_types_and_values_only_when_asked(client: FlaskClient, given_up: str) -> None:
    shown = client.get(f"/dead-letters/{given_up}").json

    sent = {**PAYMENT, "transaction_id": given_up}
    assert shown["content"] == {name: "string" if isinstance(value, str) else "number" for name, value in sent.items()}
    assert (shown["id"], shown["kind"], shown["queue"], shown["attempts"]) == (given_up, "transaction", "accepted", 3)
    assert shown["failure"] == "it failed"
    assert client.get(f"/dead-letters/{given_up}?values=false").json == shown

    assert client.get(f"/dead-letters/{given_up}?values=true").json["content"] == sent


def test_the_list_pages_from_the_newest_and_never_shows_values(
    client: FlaskClient, predict: Callable[..., Any], gateway: MemoryGateway
) -> None:
    for number in range(5):
        predict(headers=ASYNC, transaction_id=f"t{number}")
        gateway.give_up(f"t{number}")

    seen, following = [], "/dead-letters?limit=2"
    while following:
        page = client.get(following).json
        seen += [letter["id"] for letter in page["dead_letters"]]
        assert all(letter["content"]["amount"] == "number" for letter in page["dead_letters"])
        following = page["next"]

    assert seen == ["t4", "t3", "t2", "t1", "t0"]


def test_no_dead_letters_are_an_empty_page(client: FlaskClient) -> None:
    assert client.get("/dead-letters").json == {"dead_letters": [], "next": None}


def test_a_given_up_transaction_is_known_and_said_not_to_be_decided(
    client: FlaskClient, predict: Callable[..., Any], given_up: str
) -> None:
    polled = client.get(f"/predictions/{given_up}")

    assert polled.status_code == 202
    assert polled.json["status"] == "dead_lettered"
    assert "unless an operator replays it" in polled.json["detail"]
    assert polled.headers["Retry-After"] == str(polled.json["retry_after_s"]) == "300"
    assert polled.headers["Location"] == "/predictions/t%2F1"
    assert predict(headers=ASYNC, transaction_id=given_up).json == polled.json


def test_a_replayed_one_is_pending_and_then_decided(client: FlaskClient, gateway: MemoryGateway, given_up: str) -> None:
    replayed = client.post(f"/dead-letters/{given_up}/replay")

    assert (replayed.status_code, replayed.json) == (202, {"status": "replayed", "id": given_up})
    assert client.get(f"/predictions/{given_up}").json["status"] == "pending"
    assert gateway.work_off() == 1
    assert client.get(f"/predictions/{given_up}").status_code == 200
    assert_problem(client.post(f"/dead-letters/{given_up}/replay"), 404, "unknown_id")


def test_a_dropped_one_is_unknown(client: FlaskClient, given_up: str) -> None:
    dropped = client.delete(f"/dead-letters/{given_up}")

    assert (dropped.status_code, dropped.data) == (204, b"")
    assert_problem(client.get(f"/predictions/{given_up}"), 404, "unknown_id")
    assert_problem(client.delete(f"/dead-letters/{given_up}"), 404, "unknown_id")


@pytest.mark.parametrize("entry_id", ["nobody", "label:nobody", "x" * 201, "nul%00"])
def test_an_id_that_is_no_dead_letter_is_a_404(client: FlaskClient, entry_id: str) -> None:
    assert_problem(client.get(f"/dead-letters/{entry_id}"), 404, "unknown_id")
    assert_problem(client.post(f"/dead-letters/{entry_id}/replay"), 404, "unknown_id")
    assert_problem(client.delete(f"/dead-letters/{entry_id}"), 404, "unknown_id")


@pytest.mark.parametrize("query", ["?limit=0", "?limit=501", "?offset=-1", "?offset=x", "?values=true"])
def test_the_lists_parameters_are_checked(client: FlaskClient, query: str) -> None:
    assert_problem(client.get(f"/dead-letters{query}"), 422, "invalid_request")


def test_without_a_broker_every_call_is_a_503(client: FlaskClient, gateway: MemoryGateway, given_up: str) -> None:
    gateway.failure = BrokerUnavailable("the broker does not answer")

    for response in (
        client.get("/dead-letters"),
        client.get(f"/dead-letters/{given_up}"),
        client.post(f"/dead-letters/{given_up}/replay"),
        client.delete(f"/dead-letters/{given_up}"),
    ):
        assert_problem(response, 503, "broker_unavailable")
