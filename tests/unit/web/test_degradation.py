"""What a late or impossible score becomes, per client: poll, refuse, or a decision by the rules."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config.contracts import LateFallback
from config.errors import BrokerUnavailable
from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from ml.policy import Policy
from tests.unit.web.test_web_metrics import samples, value
from tests.web_app import PAYMENT, assert_problem, build_app
from web.degradation import Degradation
from web.memory_gateway import MemoryGateway

POLICY = Policy(late="refuse", late_by_client={"checkout": "rules", "back-office": "poll"})


@pytest.fixture
def client(settings: Settings, gateway: MemoryGateway, schema: Schema, validator: Validator) -> FlaskClient:
    """One client for whom the policy file above holds; its setting says otherwise."""
    return build_app(settings, gateway, schema, validator, policy=POLICY).test_client()


def post(client: FlaskClient, name: str | None = None, **headers: str) -> TestResponse:
    named = {"Tollgate-Client": name} if name is not None else {}
    return client.post("/predict", json={**PAYMENT, "transaction_id": "t-1"}, headers={**named, **headers})


def late(client: FlaskClient, outcome: str) -> float:
    return value(samples(client.get("/prometheus").text), "tollgate_late_total", outcome=outcome)


@pytest.mark.parametrize(
    ("policy", "name", "fallback"),
    [
        (Policy(), "", "rules"),
        (Policy(), "checkout", "rules"),
        (POLICY, "", "refuse"),
        (POLICY, "stranger", "refuse"),
        (POLICY, "back-office", "poll"),
        (Policy(late_by_client={"checkout": "poll"}), "checkout", "poll"),
        (Policy(late_by_client={"checkout": "poll"}), "stranger", "rules"),
    ],
)
def test_the_client_wins_over_the_policy_and_the_policy_over_the_setting(
    policy: Policy, name: str, fallback: LateFallback
) -> None:
    assert Degradation.of(Settings(late_fallback="rules"), policy).fallback_of(name) == fallback


@pytest.mark.parametrize(("name", "status"), [("checkout", 200), ("back-office", 202), ("stranger", 503), (None, 503)])
def test_a_late_score_becomes_what_the_client_was_promised(
    client: FlaskClient, gateway: MemoryGateway, name: str | None, status: int
) -> None:
    gateway.is_stalled = True

    response = post(client, name)

    assert response.status_code == status
    outcome = {200: "rules", 202: "poll", 503: "refuse"}[status]
    assert late(client, outcome) == 1
    if status == 200:
        assert response.get_json()["degraded"] is True


def test_a_full_queue_is_a_503_for_who_polls_and_who_is_refused(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.is_full = True

    for name in ("back-office", "stranger"):
        assert_problem(post(client, name), 503, "overloaded")

    assert gateway.find("t-1").status == "unknown"


def test_a_full_queue_is_a_decision_by_the_rules_for_who_wants_one(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.is_full = True

    response = post(client, "checkout")

    assert response.status_code == 200
    assert response.get_json()["degraded"] is True
    assert late(client, "rules_overloaded") == 1
    assert late(client, "rules") == 0


def test_who_prefers_to_be_told_later_is_refused_by_a_full_queue(client: FlaskClient, gateway: MemoryGateway) -> None:
    gateway.is_full = True

    assert_problem(post(client, "checkout", Prefer="respond-async, wait=1"), 503, "overloaded")


@pytest.mark.parametrize("name", ["checkout", "back-office", "stranger"])
def test_without_a_broker_everybody_is_refused_and_nothing_counts_as_settled(
    client: FlaskClient, gateway: MemoryGateway, name: str
) -> None:
    gateway.failure = BrokerUnavailable(retry_after_s=1)

    response = post(client, name)

    assert_problem(response, 503, "broker_unavailable")
    assert response.headers["Retry-After"] == "1"
    gateway.failure = None
    assert [late(client, outcome) for outcome in ("rules", "poll", "refuse")] == [0, 0, 0]


@pytest.mark.parametrize("name", ["two words", "x" * 65, "caf\xe9"])
def test_a_name_that_is_none_is_told_so(client: FlaskClient, name: str) -> None:
    document = assert_problem(post(client, name), 422, "invalid_request")

    assert document["errors"][0]["pointer"] == "Tollgate-Client"


def test_a_client_in_normal_operation_is_scored_whatever_its_name(client: FlaskClient) -> None:
    assert [post(client, name).status_code for name in ("checkout", "x" * 64, "~!", None)] == [200] * 4
