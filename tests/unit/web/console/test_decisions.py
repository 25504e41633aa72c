"""The decisions of the console: their list, one of them, its replay."""

from __future__ import annotations

import re

import msgspec
import pytest
from flask.testing import FlaskClient

from tests.unit.web.console_browser import decide, text_of
from tests.web_app import JSON, PAYMENT, assert_problem
from web.memory_gateway import MemoryGateway

ACCOUNT = {"amount": 40.0, "merchant_category": "grocery", "account_id": "acc-1", "timestamp": "2026-03-03T10:00:00Z"}


def test_a_decision_shows_why_with_signed_bars_and_its_history(client: FlaskClient) -> None:
    for amount in (40.0, 500.0):
        decision_id = decide(client, **dict.fromkeys(()), amount=amount)
    text = text_of(client.get(f"/console/decisions/{decision_id}"))

    assert "+2.00" in text
    assert "-1.00" in text
    assert re.search(r'x="50(\.0)?" width="50(\.0)?"', text)
    assert re.search(r'x="25(\.0)?" width="25(\.0)?"', text)
    assert "None yet" in text


def test_the_history_of_the_account_is_beside_its_decision(client: FlaskClient) -> None:
    ids = [client.post("/predict", json=ACCOUNT).json for _ in range(2)]
    text = text_of(client.get(f"/console/decisions/{ids[0]['decision_id']}"))

    assert "History of account" in text
    assert ids[1]["transaction_id"] in text


@pytest.mark.parametrize("name", ["decision_id", "transaction_id"])
def test_an_id_leads_to_its_decision(client: FlaskClient, name: str) -> None:
    decision = client.post("/predict", json=PAYMENT).json

    found = client.get("/console/decisions", query_string={"q": f" {decision[name]} "})

    assert (found.status_code, found.location) == (303, f"/console/decisions/{decision['decision_id']}")


def test_an_account_leads_to_its_decisions_and_nothing_known_says_so(client: FlaskClient) -> None:
    client.post("/predict", json=ACCOUNT)

    assert client.get("/console/decisions?q=acc-1").location == "/console/decisions?entity=account&value=acc-1"
    assert "Nothing has this id" in text_of(client.get("/console/decisions?q=acc-2"))


def test_a_filter_narrows_and_its_empty_fields_do_not_count(client: FlaskClient) -> None:
    cheap, dear = decide(client, amount=5), decide(client, amount=5000)

    text = text_of(client.get("/console/decisions?action=&min_probability=0.5&max_probability=&since=2026-03-01T00:00"))

    assert dear in text
    assert cheap not in text


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("entity=account", "?value"),
        ("entity=planet&value=x", "?entity"),
        ("min_probability=2", "?min_probability"),
        ("labelled=perhaps", "?labelled"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_name(client: FlaskClient, query: str, pointer: str) -> None:
    refused = assert_problem(client.get(f"/decisions?{query}"), 422, "invalid_request")

    assert [error["pointer"] for error in refused["errors"]] == [pointer]


def test_older_decisions_are_a_page_away(client: FlaskClient) -> None:
    ids = [decide(client) for _ in range(51)]

    older = re.search(r'rel="next" href="([^"]+)"', text_of(client.get("/console/decisions")))

    assert older is not None
    text = text_of(client.get(older[1].replace("&amp;", "&")))
    assert ids[0] in text
    assert ids[1] not in text


def test_what_came_of_a_replay_is_shown(client: FlaskClient, gateway: MemoryGateway) -> None:
    decision_id = decide(client)
    asked = gateway.replays.ask(decision_id)
    result = {
        "outcome": "different",
        "features": 3,
        "differences": [{"column": "hour", "served": 3.0, "rebuilt": None}],
        "served_probability": 0.9,
        "rebuilt_probability": 0.8,
    }
    gateway.replays.requests[asked.replay_id] = msgspec.structs.replace(asked, status="done", result=result)

    text = text_of(client.get(f"/console/decisions/{decision_id}?replay={asked.replay_id}"))

    assert "1 differ" in text
    assert "rebuilt –" in text
    assert client.get(f"/console/replays/{asked.replay_id}").json["status"] == "done"
    assert_problem(client.get("/console/replays/none", headers={"Accept": JSON}), 404, "unknown_id")
