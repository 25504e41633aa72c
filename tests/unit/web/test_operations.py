"""Health, reload, models, decisions, metrics and the pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.errors import BrokerUnavailable, LedgerUnavailable
from config.settings import Settings
from tests.web_app import PAYMENT, assert_problem, serving
from web.memory_gateway import MemoryGateway
from web.memory_ledger import MemoryLedger
from web.problem_catalogue import catalogue
from web.routes import route_names
from web.summary_text import as_text


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_health_is_200_once_a_warmed_worker_answers(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 200
    assert (response.json["status"], response.json["model_version"]) == ("ok", "m1")
    assert [worker["worker"] for worker in response.json["workers"]] == ["score-1", "score-2"]


def test_health_without_a_model_is_503_and_says_why(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.workers = []

    response = client.get("/health")

    document = assert_problem(response, 503, "not_ready")
    assert "model" in document["detail"]
    assert (document["workers"], document["broker"]) == ([], "up")
    assert int(response.headers["Retry-After"]) >= 1


def test_health_with_silent_workers_is_503(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.is_stalled = True

    assert "canary" in assert_problem(client.get("/health"), 503, "not_ready")["detail"]


def test_liveness_does_not_depend_on_the_broker(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.failure = BrokerUnavailable("the broker is gone")

    assert client.get("/health/live").json == {"status": "ok"}
    assert assert_problem(client.get("/health"), 503, "not_ready")["broker"] == "down"


def test_reload_lists_each_workers_answer(client: FlaskClient) -> None:
    response = client.post("/reload-model")

    assert response.status_code == 200
    assert response.json["agreed"] is True
    wanted = {"worker", "model_version", "digest", "status", "loaded_at"}
    assert all(wanted <= set(worker) for worker in response.json["workers"])


def test_reload_is_207_when_a_worker_is_silent(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.workers = [serving("score-1"), serving("score-2", status="timeout")]

    response = client.post("/reload-model?timeout_s=0.5")

    assert response.status_code == 207
    assert [worker["status"] for worker in response.json["workers"]] == ["serving", "timeout"]
    assert response.json["agreed"] is False


@pytest.mark.parametrize("query", ["wait=false", "wait=0"])
def test_reload_without_waiting_does_not_claim_agreement(client: FlaskClient, query: str) -> None:
    assert client.post(f"/reload-model?{query}").status_code == 207


@pytest.mark.parametrize("query", ["timeout_s=-1", "timeout_s=x", "timeout_s=nan", "timeout_s=1e9", "wait=5", "now=1"])
def test_reload_refuses_bad_parameters(client: FlaskClient, query: str) -> None:
    assert_problem(client.post(f"/reload-model?{query}"), 422, "invalid_request")


def test_models_lists_bundles_newest_first_and_marks_the_champion(
    make_app: Callable[..., Flask], settings: Settings
) -> None:
    for version in ("m0", "m1"):
        directory = settings.model_dir / version
        directory.mkdir(parents=True)
        (directory / "manifest.json").write_text(f'{{"version": "{version}"}}')
    (settings.model_dir / "m1" / "report.json").write_text('{"roc_auc": 0.9}')
    (settings.model_dir / "half-written").mkdir()
    (settings.model_dir / "incremental").mkdir()
    (settings.model_dir / "incremental" / "summary.json").write_text('{"steps": 3, "prequential": []}')

    listed = make_app().test_client().get("/models").json

    assert listed["champion"] == {"model_version": "m1"}
    assert [(m["model_version"], m["is_champion"]) for m in listed["models"]] == [("m1", True), ("m0", False)]
    assert listed["incremental"] == {"steps": 3, "prequential": []}
    assert listed["models"][0]["report"] == {"roc_auc": 0.9}
    assert listed["models"][1]["digest"] == sha256(b'{"version": "m0"}').hexdigest()


def test_decisions_are_paged_newest_first(client: FlaskClient, predict: Callable[..., Any]) -> None:
    for number in range(5):
        predict(transaction_id=f"t-{number}")

    seen, path = [], "/decisions?limit=2"
    while path:
        page = client.get(path).json
        seen += [row["decision"]["transaction_id"] for row in page["decisions"]]
        path = page["next"]

    assert seen == ["t-4", "t-3", "t-2", "t-1", "t-0"]


def test_decisions_are_filtered(client: FlaskClient, predict: Callable[..., Any]) -> None:
    predict(transaction_id="big")
    predict(transaction_id="small", amount=5)

    approved = client.get("/decisions?action=approve&is_fraud=false").json["decisions"]

    assert [row["decision"]["transaction_id"] for row in approved] == ["small"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=5.5", "limit=x", "action=shrug", "is_fraud=2", "since=today",
     "until=2026-01-01T00:00:00", "before=-1", "nonsense=1", "limit=1&limit=2", "a=1&" * 60],
)  # fmt: skip
def test_a_bad_filter_is_refused(client: FlaskClient, query: str) -> None:
    assert_problem(client.get(f"/decisions?{query}"), 422, "invalid_request")


def test_a_time_filter_reads_an_unescaped_plus(client: FlaskClient) -> None:
    assert client.get("/decisions?since=2026-01-01T00:00:00+01:00").status_code == 200


@pytest.mark.parametrize("name", ["decision_id", "transaction_id"])
def test_a_decision_shows_what_was_sent_apart_from_what_was_derived(
    client: FlaskClient, predict: Callable[..., Any], name: str
) -> None:
    decision = predict(transaction_id="t/1").json
    client.post("/feedback", json={"transaction_id": "t/1", "is_fraud": True})

    shown = client.get(f"/decisions/{decision[name]}").json

    assert shown["decision"] == decision
    assert shown["sent"] == {**PAYMENT, "transaction_id": "t/1"}
    assert shown["derived"] == {}
    assert [label["is_fraud"] for label in shown["labels"]] == [True]


def test_an_unknown_decision_is_not_found(client: FlaskClient) -> None:
    assert_problem(client.get("/decisions/nobody"), 404, "unknown_id")


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        (None, "text/plain"),
        ("*/*", "text/plain"),
        ("text/plain", "text/plain"),
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("image/png", "text/plain"),
    ],
)
def test_metrics_come_as_accept_asks(client: FlaskClient, accept: str | None, mimetype: str) -> None:
    response = client.get("/metrics", headers={"Accept": accept} if accept else {})

    assert (response.status_code, response.mimetype) == (200, mimetype)
    assert b"accuracy" in response.data
    assert b"m1" in response.data


def test_metrics_say_which_part_cannot_be_read(
    make_app: Callable[..., Flask], gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_ledger(_: MemoryLedger) -> Mapping[str, Any]:
        raise LedgerUnavailable("the database is gone")

    monkeypatch.setattr(MemoryLedger, "summary", no_ledger)
    gateway.failure = BrokerUnavailable("the broker is gone")

    text = make_app().test_client().get("/metrics").text

    assert "unavailable: the database is gone" in text
    assert "unavailable: the broker is gone" in text


def test_a_summary_reads_well_as_text() -> None:
    summary = {
        "decisions": {"by_action": {"approve": 3}, "accuracy": {"value": 0.98765432, "low": 0.9, "high": 1.0}},
        "workers": [{"worker": "a"}],
    }

    assert as_text(summary).splitlines() == [
        "decisions:",
        "  by action:",
        "    approve: 3",
        "  accuracy: 0.9877 (0.9 to 1)",
        "workers:",
        "  1:",
        "    worker: a",
    ]


def test_metrics_begin_with_what_matters_and_mark_what_is_bad(
    make_app: Callable[..., Flask], gateway: MemoryGateway
) -> None:
    client = make_app().test_client()
    good = client.get("/metrics", headers={"Accept": "text/html"}).text
    gateway.failure = BrokerUnavailable("the broker is gone")
    bad = client.get("/metrics", headers={"Accept": "text/html"}).text

    assert "\nnow:\n  status: " in client.get("/metrics").text
    assert "<dt>dead letters</dt><dd>0</dd>" in good
    assert '<div class="bad"><dt>status</dt><dd>unavailable</dd>' in bad
    assert "<dt>scoring workers</dt><dd>-</dd>" in bad
    assert "<dt>dead letters</dt><dd>-</dd>" in bad


def test_the_start_page_links_the_others_and_gives_a_request_to_paste(client: FlaskClient) -> None:
    page = client.get("/", base_url="http://localhost:8000").text

    assert 'href="/docs"' in page
    assert "curl -X POST &#34;http://localhost:8000/predict&#34;" in page


@pytest.mark.parametrize("path", ["/", "/docs", "/problems/overloaded"])
def test_pages_ask_no_outside_host(client: FlaskClient, path: str) -> None:
    page = client.get(path)

    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert 'src="http' not in page.text
    assert 'src="//' not in page.text


def test_every_problem_has_a_page_and_a_json_form(client: FlaskClient) -> None:
    for problem in catalogue():
        assert problem.title in client.get(f"/problems/{problem.code}").text
        as_json = client.get(f"/problems/{problem.code}", headers={"Accept": "application/json"})
        assert as_json.json["status"] == problem.status
    assert_problem(client.get("/problems/nonsense"), 404, "unknown_id")


def test_a_crash_in_a_page_is_a_500_without_its_inside(
    client: FlaskClient, gateway: MemoryGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.workers = None  # type: ignore[assignment]

    response = client.get("/health")

    assert_problem(response, 500, "internal_error")
    assert b"NoneType" not in response.data
    assert capsys.readouterr().out.count("request crashed") == 1


def test_a_report_that_is_no_object_does_not_hide_its_bundle(
    make_app: Callable[..., Flask], settings: Settings
) -> None:
    directory = settings.model_dir / "m2"
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_text("{}")
    (directory / "report.json").write_text(json.dumps([1]))

    assert make_app().test_client().get("/models").json["models"][0]["report"] == {}


def test_every_problem_code_and_every_route_is_in_the_documentation(app: Flask) -> None:
    docs = Path(__file__).parents[3] / "docs"
    text = (docs / "api.md").read_text() + (docs / "console.md").read_text()

    missing = [problem.code for problem in catalogue() if f"`{problem.code}`" not in text]
    missing += [name for name in route_names(app) if name not in text and not name.startswith("/static")]
    assert missing == []
