"""The console: its guard, its pages, what its scripts read, what its forms change."""

from __future__ import annotations

import doctest
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.contracts import Decision, Reason
from config.errors import BrokerUnavailable, LedgerUnavailable
from config.queue import pulse
from config.queue.pulse import Slot
from tests.unit.web.console_browser import SECRET, change, text_of, visit
from tests.web_app import JSON, PAYMENT, assert_problem, decide_by_amount
from web.console import words
from web.console.blueprint import PAGE_GROUPS
from web.console.navigation import NAVIGATION
from web.console.visitor import COOKIE, TOKEN_HEADER, Visitor
from web.memory_batches import MemoryBatches
from web.memory_desks import MemoryReviews
from web.memory_gateway import MemoryGateway
from web.ports.transactions import Transaction
from web.pulse import RequestPulse, latency_quantile_ms


class LostReviews(MemoryReviews):
    """Leases whose broker is gone."""

    def claim(self, decision_id: str, reviewer: str) -> bool:
        raise BrokerUnavailable("the broker is gone")

    def holders(self, decision_ids: Sequence[str]) -> Sequence[str | None]:
        raise BrokerUnavailable("the broker is gone")


ELSEWHERE = "cd" * 16
ACCOUNT = {"amount": 40.0, "merchant_category": "grocery", "account_id": "acc-1", "timestamp": "2026-03-03T10:00:00Z"}
TEMPLATES = Path(__file__).parents[3] / "web" / "templates" / "console"
STATIC = Path(__file__).parents[3] / "web" / "static" / "console"


def review_mid(transaction: Transaction, transaction_id: str, explain: bool) -> Decision:
    """From 100 to 1,000 a person decides."""
    decision = decide_by_amount(transaction, transaction_id, explain)
    if not 100 <= transaction.values[0] <= 1000:
        return decision
    reasons = [Reason("A", "amount", "raises", 2.0, "much"), Reason("H", "hour", "lowers", -1.0, "by day")]
    return msgspec.structs.replace(decision, action="review", fraud_probability=0.5, reasons=reasons)


@pytest.fixture
def gateway(gateway: MemoryGateway) -> MemoryGateway:
    gateway.decide = review_mid
    return gateway


@pytest.fixture
def client(app: Flask, gateway: MemoryGateway) -> FlaskClient:
    """A browser with a visit behind it."""
    return visit(app, SECRET)


def decide(client: FlaskClient, **changed: Any) -> str:
    decision_id: str = client.post("/predict", json={**PAYMENT, **changed}).json["decision_id"]
    return decision_id


def test_a_first_visit_gets_a_cookie_of_its_own_and_keeps_it(app: Flask) -> None:
    client = app.test_client()
    first = client.get("/console")
    cookie = first.headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Set-Cookie" not in client.get("/console").headers
    assert app.test_client().get("/console").headers["Set-Cookie"] != cookie


def test_a_cookie_that_was_made_up_is_replaced(app: Flask) -> None:
    assert COOKIE in visit(app, "short").get("/console").headers["Set-Cookie"]


WRONG: Mapping[str, Mapping[str, str]] = {
    "no token": {},
    "the token of another visitor": {TOKEN_HEADER: Visitor(ELSEWHERE).token},
    "another site": {TOKEN_HEADER: Visitor(SECRET).token, "Sec-Fetch-Site": "cross-site"},
    "another host": {TOKEN_HEADER: Visitor(SECRET).token, "Origin": "https://elsewhere.example"},
    "no origin to speak of": {TOKEN_HEADER: Visitor(SECRET).token, "Origin": "null"},
}


@pytest.mark.parametrize("why", WRONG)
def test_a_change_that_no_page_of_the_console_asked_for_is_refused(
    client: FlaskClient, gateway: MemoryGateway, why: str
) -> None:
    decision_id = decide(client, amount=500)

    refused = client.post(
        f"/console/reviews/{decision_id}/label", json={"is_fraud": True}, headers={**WRONG[why], "Accept": JSON}
    )

    assert_problem(refused, 403, "cross_site_request")
    assert gateway.labels == []


def test_every_change_is_behind_the_guard(app: Flask, client: FlaskClient) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/console")]
    changes = [rule for rule in rules if (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}]

    assert changes
    for rule in changes:
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        assert_problem(client.post(path, headers={"Accept": JSON}), 403, "cross_site_request")


def test_a_form_of_a_page_carries_the_token_itself(client: FlaskClient) -> None:
    decision_id = decide(client)

    asked = client.post(
        f"/console/decisions/{decision_id}/replay",
        data={"token": Visitor(SECRET).token},
        headers={"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
    )

    assert (asked.status_code, asked.location) == (303, f"/console/decisions/{decision_id}?replay=replay-1#replay")


@pytest.mark.parametrize("path", [link.path for link in NAVIGATION])
def test_every_page_of_the_navigation_is_there_marked_and_without_inline_code(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    text = text_of(response)

    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert text.count("<h1>") == 1
    assert f'href="{path}" aria-current="page"' in text
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", text)
    assert re.findall(r'(?:src|href)="(?:https?:)?//', text) == []


def test_every_group_of_pages_is_registered_once() -> None:
    assert len(set(PAGE_GROUPS)) == len(PAGE_GROUPS) >= len(NAVIGATION)


def test_colours_are_tokens_and_widths_are_no_styles() -> None:
    sheets = [path for path in STATIC.glob("*.css") if path.name != "tokens.css"]

    assert sheets
    assert [path.name for path in sheets if re.search(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", path.read_text())] == []
    assert [path.name for path in TEMPLATES.glob("*.html") if "style=" in path.read_text()] == []


def test_the_overview_counts_the_last_minute_and_draws_five(client: FlaskClient, gateway: MemoryGateway) -> None:
    fast, slow = pulse.latency_bin(0.004), pulse.latency_bin(0.2)
    busy = {
        pulse.answered(200): 19,
        pulse.answered(503): 1,
        pulse.latency(fast): 18,
        pulse.latency(slow): 2,
        pulse.decided("approve"): 15,
        pulse.decided("decline"): 5,
    }
    gateway.slots = [Slot(1000 + 2 * n, {}) for n in range(29)] + [Slot(1058, busy)]

    found = client.get("/console/live?since=1050").json

    assert found["curves"]["at_s"] == [1052, 1054, 1056, 1058]
    assert found["curves"]["requests_per_s"] == [0, 0, 0, 10]
    assert found["curves"]["p50_ms"][:3] == [None, None, None]
    assert 3 < found["now"]["p50_ms"] < 5
    assert 160 < found["now"]["p99_ms"] < 250
    assert found["now"]["refused"] == 1
    assert (found["now"]["decline_share"], found["now"]["review_share"]) == (0.25, 0)
    assert [one["queue"] for one in found["queues"]] == ["score", "bulk", "background", "train"]
    assert found["workers"][0]["is_champion"] is True


def test_the_overview_is_there_above_all_when_the_broker_is_not(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.failure = BrokerUnavailable("the broker is gone")

    assert "the broker is gone" in text_of(client.get("/console"))
    found = client.get("/console/live").json
    assert (found["is_ready"], found["is_broker_up"], found["workers"], found["curves"]["at_s"]) == (
        False,
        False,
        [],
        [],
    )


def test_an_error_is_a_page_for_people_and_a_problem_for_scripts(client: FlaskClient) -> None:
    page = client.get("/console/decisions/nobody", headers={"Accept": "text/html"})

    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "unknown_id" in page.text
    assert_problem(client.get("/console/decisions/nobody", headers={"Accept": JSON}), 404, "unknown_id")


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


def test_a_ledger_that_is_down_is_a_declared_503(client: FlaskClient, app: Flask, monkeypatch: Any) -> None:
    def down(*_: Any, **__: Any) -> Any:
        raise LedgerUnavailable("the ledger is down", retry_after_s=1)

    for name in ("open_reviews", "list_decisions"):
        monkeypatch.setattr(type(app.extensions["tollgate"].ledger), name, down)

    assert_problem(client.get("/reviews"), 503, "ledger_unavailable")
    assert client.get("/console/decisions", headers={"Accept": "text/html"}).status_code == 503


def test_a_file_uploaded_from_the_page_is_a_batch_and_leads_to_its_page(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app(blob_dir=tmp_path / "blobs")
    client = visit(app, SECRET)

    accepted = change(client, "/console/batches", data=b"amount\n1\n", content_type="text/csv")

    assert accepted.status_code == 202
    batch_id = accepted.json["id"]
    assert batch_id in text_of(client.get("/console/batches"))
    assert [one["id"] for one in client.get("/console/batches/states").json] == [batch_id]
    assert "Cancel the batch" in text_of(client.get(f"/console/batches/{batch_id}"))
    refused = client.get(f"/console/batches/{batch_id}/results.csv", headers={"Accept": JSON})
    assert_problem(refused, 409, "batch_not_finished")

    cancelled = client.post(f"/console/batches/{batch_id}/cancel", data={"token": Visitor(SECRET).token})
    assert (cancelled.status_code, cancelled.location) == (303, f"/console/batches/{batch_id}")


def test_results_are_saved_under_the_name_of_their_batch(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    app = make_app(blob_dir=tmp_path / "blobs")
    client = visit(app, SECRET)
    batch_id = change(client, "/console/batches", data=b"amount\n1\n", content_type="text/csv").json["id"]
    batches: MemoryBatches = app.extensions["tollgate"].batches
    batches.update(batch_id, status="completed", ended_ms=batches.now_ms(), total=0, chunks=0)

    for name in ("results.csv", "results.ndjson", "errors.ndjson"):
        kind, _, ending = name.partition(".")
        saved = client.get(f"/console/batches/{batch_id}/{name}")
        assert saved.status_code == 200
        assert saved.headers["Content-Disposition"] == f'attachment; filename="{batch_id}-{kind}.{ending}"'


@pytest.mark.parametrize("module", [words, pulse])
def test_the_examples_in_the_code_are_true(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)

    assert (failed, tried > 0) == (0, True)


def test_latencies_are_counted_per_status_and_taken_once() -> None:
    requests = RequestPulse()
    for seconds in (0.001, 0.001, 0.001, 0.5):
        requests.observe(200, seconds)
    counts: Counter[str] = sum(requests.take().values(), Counter())

    assert counts[pulse.answered(200)] == 4
    assert requests.take() == {}
    median, highest = latency_quantile_ms(counts, 0.5), latency_quantile_ms(counts, 1.0)
    assert median == pytest.approx(1.0, rel=0.25)
    assert highest == pytest.approx(500, rel=0.25)
    assert latency_quantile_ms({}, 0.5) is None
