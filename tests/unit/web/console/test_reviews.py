"""The review queue of the console: its order, who holds a case, verdicts."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.errors import BrokerUnavailable
from tests.unit.web.console_browser import ELSEWHERE, change, decide, visit
from tests.web_app import JSON, assert_problem
from web.memory_desks import MemoryReviews
from web.memory_gateway import MemoryGateway


class LostReviews(MemoryReviews):
    """Leases whose broker is gone."""

    def claim(self, decision_id: str, reviewer: str) -> bool:
        raise BrokerUnavailable("the broker is gone")

    def holders(self, decision_ids: Sequence[str]) -> Sequence[str | None]:
        raise BrokerUnavailable("the broker is gone")


def test_reviews_come_by_expected_loss_or_by_age(client: FlaskClient) -> None:
    small = decide(client, amount=200)
    time.sleep(0.002)  # ids and times count milliseconds
    large = decide(client, amount=900)
    decide(client, amount=5)

    by_loss, by_age = client.get("/reviews").json, client.get("/reviews?order=age&limit=1").json

    assert [one["case"]["decision"]["decision_id"] for one in by_loss["reviews"]] == [large, small]
    assert [one["expected_loss"] for one in by_loss["reviews"]] == [450, 100]
    assert [one["case"]["decision"]["decision_id"] for one in by_age["reviews"]] == [small]
    assert (by_loss["open"], by_loss["done_today"]) == (2, 0)
    assert_problem(client.get("/reviews?order=mood"), 422, "invalid_request")


@pytest.mark.parametrize("order", ["loss", "age"])
def test_the_review_queue_is_read_page_by_page_to_its_end(client: FlaskClient, order: str) -> None:
    for amount in (900, 200, 500, 500, 700):
        decide(client, amount=amount)
    whole = client.get(f"/reviews?order={order}").json

    at, seen = f"/reviews?order={order}&limit=2", []
    while at:
        found = client.get(at).json
        seen += found["reviews"]
        at = found["next"]

    assert seen == whole["reviews"]
    assert (len(seen), whole["next"]) == (5, None)
    assert_problem(client.get("/reviews?after=-1"), 422, "invalid_request")


def test_the_console_shows_the_page_that_its_address_names(client: FlaskClient) -> None:
    for amount in (900, 200, 500):
        decide(client, amount=amount)
    first = client.get("/reviews?limit=1").json["reviews"][0]["case"]["id"]

    queue = client.get(f"/console/reviews/queue?order=loss&after={first}").json

    assert [one["case"]["amount"] for one in queue["reviews"]] == [500, 200]
    assert f'data-after="{first}"' in client.get(f"/console/reviews?after={first}").text


def test_a_case_that_one_reviewer_holds_is_refused_to_another_until_it_is_let_go(
    app: Flask, client: FlaskClient
) -> None:
    case, other = f"/console/reviews/{decide(client, amount=500)}", visit(app, ELSEWHERE)

    assert change(client, f"{case}/claim").status_code == 204
    assert change(client, f"{case}/claim").status_code == 204, "holding it longer"
    assert_problem(change(other, f"{case}/claim", secret=ELSEWHERE), 409, "review_held")
    labelled = change(other, f"{case}/label", secret=ELSEWHERE, json={"is_fraud": True})
    assert_problem(labelled, 409, "review_held")
    assert other.get("/console/reviews/queue").json["reviews"][0]["is_held"] is True
    assert client.get("/console/reviews/queue").json["reviews"][0]["is_held"] is False

    assert change(client, f"{case}/release").status_code == 204
    assert change(other, f"{case}/claim", secret=ELSEWHERE).status_code == 204


def test_a_verdict_is_a_label_of_manual_review_and_its_case_is_handed_out_no_more(
    client: FlaskClient, gateway: MemoryGateway
) -> None:
    decision_id = decide(client, amount=500)
    change(client, f"/console/reviews/{decision_id}/claim")

    assert change(client, f"/console/reviews/{decision_id}/label", json={"is_fraud": True}).status_code == 202

    [(label, _)] = gateway.labels
    assert (label.decision_id, label.is_fraud, label.source) == (decision_id, True, "manual_review")
    queue = client.get("/console/reviews/queue").json
    assert (queue["open"], queue["done_today"], queue["reviews"]) == (0, 1, [])


def test_a_case_whose_label_is_on_its_way_is_not_shown_again(client: FlaskClient, gateway: MemoryGateway) -> None:
    decision_id = decide(client, amount=500)
    gateway.reviews.settle(decision_id, "somebody")

    queue = client.get("/reviews").json

    assert (queue["open"], queue["done_today"], queue["reviews"]) == (0, 1, [])


@pytest.mark.parametrize("body", [b"{}", b'{"is_fraud": "yes"}'])
def test_a_verdict_that_says_nothing_is_refused(client: FlaskClient, gateway: MemoryGateway, body: bytes) -> None:
    refused = change(client, f"/console/reviews/{decide(client)}/label", data=body, content_type=JSON)

    assert_problem(refused, 422, "invalid_request")
    assert gateway.labels == []


def test_without_the_broker_the_queue_can_be_read_and_a_claim_fails(
    client: FlaskClient, gateway: MemoryGateway
) -> None:
    decision_id = decide(client, amount=500)
    gateway.reviews = LostReviews()

    assert client.get("/reviews").json["open"] == 1
    assert_problem(change(client, f"/console/reviews/{decision_id}/claim"), 503, "broker_unavailable")
