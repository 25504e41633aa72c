"""The console as a whole: its guard, its pages, what its scripts read."""

from __future__ import annotations

import doctest
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import names
from config.errors import BrokerUnavailable, LedgerUnavailable
from config.queue import pulse
from config.queue.pulse import Slot
from tests.unit.web.console_browser import ELSEWHERE, SECRET, change, decide, text_of, visit
from tests.web_app import JSON, assert_problem
from web.console import words
from web.console.blueprint import PAGE_GROUPS
from web.console.navigation import NAVIGATION
from web.console.visitor import COOKIE, TOKEN_HEADER, Visitor
from web.memory_batches import MemoryBatches
from web.memory_gateway import MemoryGateway
from web.pulse import RequestPulse, latency_quantile_ms

TEMPLATES = Path(__file__).parents[4] / "web" / "templates" / "console"
STATIC = Path(__file__).parents[4] / "web" / "static" / "console"


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
    assert [one["queue"] for one in found["queues"]] == [*names.QUEUES]
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
