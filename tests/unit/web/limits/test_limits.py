"""Limits as a client meets them: headers, 429 with the budget's name, who shares what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask
from limits import parse

from config.errors import SettingInvalid
from config.rates import require_rate
from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings, load_settings
from config.tenants import DEFAULT_TENANT
from tests.web_app import PAYMENT, assert_problem, build_app, decide_by_amount
from web.auth.principal import Principal, remember_principal
from web.limits.budgets import are_requests_limited, budget_of
from web.limits.store import MemoryLimitStore
from web.memory_gateway import MemoryGateway
from web.routes import route_name

BUDGETS: dict[str, Any] = {
    "limit_score": "3/minute",
    "limit_bulk": "2/minute",
    "limit_feedback": "2/minute",
    "limit_operations": "4/minute",
    "limit_address": "8/minute",
    "limit_failed_credentials": "2/minute",
}


class Stack:
    """The web side with small budgets, and clients that show keys."""

    def __init__(self, app: Flask, store: MemoryLimitStore) -> None:
        self.app = app
        self.store = store
        self._inner = app.wsgi_app

    def client(self, key: str = "", address: str = "10.0.0.1") -> Any:
        """A client with a key, as the door would have found it, at an address."""

        def keyed(environ: dict[str, Any], start_response: Any) -> Any:
            if key:
                remember_principal(environ, Principal(key, DEFAULT_TENANT, frozenset(), key))
            environ["REMOTE_ADDR"] = address
            return self._inner(environ, start_response)

        self.app.wsgi_app = keyed  # type: ignore[method-assign]
        return self.app.test_client()

    def predict(self, key: str = "", address: str = "10.0.0.1") -> Any:
        return self.client(key, address).post("/predict", json=PAYMENT)


@pytest.fixture
def stack(schema: Schema, validator: Validator, tmp_path: Path) -> Stack:
    store = MemoryLimitStore()
    settings = Settings(data_dir=tmp_path, limits="on", **BUDGETS)
    return Stack(build_app(settings, MemoryGateway(decide_by_amount), schema, validator, limits=store), store)


def told(response: Any) -> tuple[str, str]:
    return response.headers["RateLimit-Limit"], response.headers["RateLimit-Remaining"]


def test_a_key_scores_until_its_budget_is_used_up_and_reads_which(stack: Stack) -> None:
    answers = [stack.predict("a") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [told(answer) for answer in answers] == [("3", "2"), ("3", "1"), ("3", "0"), ("3", "0")]
    problem = assert_problem(answers[-1], 429, "rate_limited")
    assert (problem["budget"], "3/minute" in problem["detail"]) == ("score", True)
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].headers["RateLimit-Reset"] == answers[-1].headers["Retry-After"]
    assert "Retry-After" not in answers[0].headers


def test_a_refused_payment_is_not_read_and_not_scored(stack: Stack) -> None:
    for _ in range(3):
        stack.predict("a")

    assert_problem(stack.client("a").post("/predict", data=b"{", content_type="text/plain"), 429, "rate_limited")


def test_polls_draw_on_the_same_budget_as_payments(stack: Stack) -> None:
    stack.predict("a")

    assert told(stack.client("a").get("/predictions/unknown")) == ("3", "1")
    assert told(stack.predict("a")) == ("3", "0")
    assert_problem(stack.client("a").get("/predictions/unknown"), 429, "rate_limited")


def test_keys_have_budgets_of_their_own_and_an_address_has_one_for_all_of_them(stack: Stack) -> None:
    assert [stack.predict(key).status_code for key in "abcabcab"] == [200] * 8

    problem = assert_problem(stack.predict("d"), 429, "rate_limited")
    assert problem["budget"] == "address"
    assert stack.predict("d", "10.0.0.2").status_code == 200
    assert_problem(stack.client("d").get("/models"), 429, "rate_limited")


def test_who_shows_no_key_counts_by_address(stack: Stack) -> None:
    assert [stack.predict().status_code for _ in range(4)] == [200, 200, 200, 429]
    assert stack.predict("", "10.0.0.2").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "budget", "times"),
    [
        ("POST", "/batches", "bulk", 2),
        ("POST", "/feedback", "feedback", 2),
        ("GET", "/batches", "operations", 4),
        ("GET", "/models", "operations", 4),
        ("GET", "/console/models", "operations", 4),
        ("GET", "/nowhere", "operations", 4),
    ],
)
def test_each_kind_of_work_has_a_budget(stack: Stack, method: str, path: str, budget: str, times: int) -> None:
    answers = [stack.client("a").open(path, method=method) for _ in range(times + 1)]

    assert 429 not in [answer.status_code for answer in answers[:-1]]
    assert told(answers[0]) == (str(times), str(times - 1))
    assert assert_problem(answers[-1], 429, "rate_limited")["budget"] == budget
    assert stack.predict("a").status_code == 200, "the budget for payments is another one"


def test_health_metrics_and_static_files_are_never_limited(stack: Stack) -> None:
    paths = ("/health/live", "/health", "/prometheus", "/metrics", "/static/tollgate.css")
    for path in paths * 10:
        with stack.client().get(path) as answer:
            assert answer.status_code in (200, 503)
            assert "RateLimit-Limit" not in answer.headers


def test_every_route_has_a_budget_or_is_one_of_the_free_ones(stack: Stack) -> None:
    free = {route_name(rule.rule) for rule in stack.app.url_map.iter_rules() if budget_of(rule.endpoint) is None}

    assert free == {
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/problems/{code}",
        "/prometheus",
        "/session/check",
        "/static/{filename}",
    }


def test_one_count_asks_the_store_once_per_budget(stack: Stack) -> None:
    stack.client("a").get("/models")

    assert stack.store.asked == 2, "its own budget, and that of its address"


def test_while_nobody_can_count_everything_is_let_through_and_counted(stack: Stack) -> None:
    stack.store.is_down = True

    answers = [stack.predict("a") for _ in range(5)] + [stack.client("a").get("/batches") for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert not any("RateLimit-Limit" in answer.headers for answer in answers)
    assert metric(stack, "tollgate_limits_skipped_total") == 20.0


def test_refusals_are_counted_by_budget(stack: Stack) -> None:
    for _ in range(5):
        stack.predict("a")
    for _ in range(3):
        stack.client("a").post("/feedback")

    assert metric(stack, 'tollgate_limited_total{budget="score"}') == 2.0
    assert metric(stack, 'tollgate_limited_total{budget="feedback"}') == 1.0


def metric(stack: Stack, name: str) -> float:
    lines = stack.client().get("/prometheus").text.splitlines()
    return float(next(line for line in lines if line.startswith(name)).rpartition(" ")[2])


def test_a_stack_without_authentication_limits_nothing_unless_told(
    schema: Schema, validator: Validator, tmp_path: Path
) -> None:
    store = MemoryLimitStore()
    app = build_app(
        Settings(data_dir=tmp_path, **BUDGETS), MemoryGateway(decide_by_amount), schema, validator, limits=store
    )
    answers = [app.test_client().post("/predict", json=PAYMENT) for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert store.asked == 0
    assert not are_requests_limited(Settings())
    assert are_requests_limited(Settings(auth="required"))
    assert not are_requests_limited(Settings(auth="required", limits="off"))


def test_an_empty_budget_is_none(schema: Schema, validator: Validator, tmp_path: Path) -> None:
    none = dict.fromkeys(BUDGETS, "")
    store = MemoryLimitStore()
    settings = Settings(data_dir=tmp_path, limits="on", **none)
    client = build_app(settings, MemoryGateway(decide_by_amount), schema, validator, limits=store).test_client()

    assert client.post("/predict", json=PAYMENT).status_code == 200
    assert client.get("/batches").status_code == 200
    assert store.asked == 0


@pytest.mark.parametrize("proxies", [0, 1, 2])
def test_only_as_many_proxies_as_are_trusted_say_where_a_request_came_from(
    schema: Schema, validator: Validator, tmp_path: Path, proxies: int
) -> None:
    settings = Settings(data_dir=tmp_path, limits="on", trusted_proxies=proxies, **BUDGETS)
    client = build_app(settings, MemoryGateway(decide_by_amount), schema, validator).test_client()

    def post(claimed: str) -> int:
        headers = {"X-Forwarded-For": claimed}
        status: int = client.post("/predict", json=PAYMENT, headers=headers).status_code
        return status

    statuses = [post(f"6.6.6.{number}, 10.0.0.{number}, 10.0.1.1") for number in range(4)]

    # One proxy says 10.0.1.1 each time; two say another address each time; without one only the socket counts.
    assert statuses == [200, 200, 200, 429 if proxies < 2 else 200]


@pytest.mark.parametrize("text", ["100/second", "20 per 5 minutes", "1/day", "60 / minute", "3 per hour"])
def test_rates_are_read_as_the_library_reads_them(text: str) -> None:
    assert parse(require_rate(text)).amount >= 1


@pytest.mark.parametrize("text", ["0/second", "fast", "10", "-1/second", "10/fortnight", "10/second;5/minute"])
def test_a_rate_that_cannot_be_read_names_its_setting(text: str) -> None:
    with pytest.raises(SettingInvalid, match="TOLLGATE_LIMIT_SCORE"):
        load_settings(limit_score=text)


def test_429_is_not_an_answer_that_an_idempotency_key_keeps(stack: Stack) -> None:
    body = msgspec.json.encode({"transaction_id": "t", "actual_label": True})
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    statuses = [stack.client("a").post("/feedback", data=body, headers=headers).status_code for _ in range(3)]

    assert statuses[-1] == 429
    assert stack.client("b").post("/feedback", data=body, headers=headers).status_code == statuses[0]
