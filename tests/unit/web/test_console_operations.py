"""/console/operations: queues, workers and dead letters, to look at, replay or drop."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.errors import BrokerUnavailable
from tests.unit.web.console_browser import change, text_of, visit
from tests.web_app import JSON, PAYMENT, assert_problem
from web.memory_gateway import MemoryGateway

LETTER = "/console/operations/dead-letters/t/1"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return visit(app)


@pytest.fixture
def given_up(client: FlaskClient, gateway: MemoryGateway) -> None:
    _give_up(client, gateway, "t/1")


def _give_up(client: FlaskClient, gateway: MemoryGateway, transaction_id: str) -> None:
    sent: dict[str, Any] = {**PAYMENT, "transaction_id": transaction_id}
    assert client.post("/predict", json=sent, headers={"Prefer": "respond-async"}).status_code == 202
    gateway.give_up(transaction_id, failure="it failed")


def test_without_dead_letters_the_page_says_so_and_shows_queues_and_workers(client: FlaskClient) -> None:
    text = text_of(client.get("/console/operations"))

    assert "No dead letters" in text
    assert all(name in text for name in ("score-1", "score-2", ">background<"))


@pytest.mark.usefixtures("given_up")
def test_a_dead_letter_is_listed_and_shown_with_values_only_when_asked(client: FlaskClient) -> None:
    listed, shown = text_of(client.get("/console/operations")), text_of(client.get(LETTER))

    assert f'href="{LETTER}"' in listed
    assert "it failed" in listed
    assert ">number<" in shown
    assert "1500" not in shown
    assert "1500" in text_of(client.get(f"{LETTER}?values=true"))


@pytest.mark.usefixtures("given_up")
def test_a_dead_letter_is_replayed(client: FlaskClient, gateway: MemoryGateway) -> None:
    done = change(client, f"{LETTER}/replay")

    assert (done.status_code, done.location) == (303, "/console/operations?done=replayed#dead-letters")
    assert gateway.work_off() == 1
    assert "on its queue again" in text_of(client.get("/console/operations?done=replayed"))
    assert_problem(change(client, f"{LETTER}/replay"), 404, "unknown_id")


@pytest.mark.usefixtures("given_up")
def test_a_dead_letter_is_dropped_for_good(client: FlaskClient, gateway: MemoryGateway) -> None:
    assert change(client, f"{LETTER}/drop").location == "/console/operations?done=dropped#dead-letters"

    assert gateway.work_off() == 0
    assert_problem(change(client, f"{LETTER}/drop"), 404, "unknown_id")
    assert_problem(client.get(LETTER, headers={"Accept": JSON}), 404, "unknown_id")


def test_older_dead_letters_are_a_page_away(client: FlaskClient, gateway: MemoryGateway) -> None:
    for number in range(26):
        _give_up(client, gateway, f"t{number:02}")

    first, second = (text_of(client.get(f"/console/operations?offset={offset}")) for offset in (0, 25))

    assert 'rel="next" href="/console/operations?offset=25#dead-letters"' in first
    assert "dead-letters/t00" not in first
    assert 'rel="prev" href="/console/operations?offset=0#dead-letters"' in second
    assert "dead-letters/t00" in second


def test_the_page_is_there_when_the_broker_is_not(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.failure = BrokerUnavailable("the broker is gone")

    assert "The broker does not answer" in text_of(client.get("/console/operations"))
