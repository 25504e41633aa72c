"""An open stack and the browser on its machine: pages of other sites get nothing done and read nothing."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.unit.web.auth.conftest import MakeKey, bearer
from tests.web_app import PAYMENT, assert_problem
from web.memory_gateway import MemoryGateway

CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@pytest.mark.parametrize(
    "headers", [CROSS_SITE, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
@pytest.mark.parametrize("path", ["/predict", "/retrain", "/reload-model", "/models/rollback", "/feedback", "/batches"])
def test_a_page_of_another_site_changes_nothing_on_an_open_stack(
    client: FlaskClient, gateway: MemoryGateway, path: str, headers: dict[str, str]
) -> None:
    refused = client.post(path, json={**PAYMENT, "transaction_id": "from-elsewhere"}, headers=headers)

    assert_problem(refused, 403, "cross_site_request")
    assert gateway.find("from-elsewhere").status == "unknown"


@pytest.mark.parametrize("path", ["/decisions", "/metrics", "/prometheus", "/console", "/health", "/openapi.json"])
@pytest.mark.parametrize("host", ["rebound.evil.example:8000", "localhost.evil.example", "evil.example.", "[::1"])
def test_a_name_that_points_at_this_machine_reads_nothing_of_an_open_stack(
    client: FlaskClient, path: str, host: str
) -> None:
    refused = client.get(path, headers={"Host": host, "Accept": "application/json"})

    assert_problem(refused, 403, "cross_site_request")


def test_a_payment_to_a_name_that_points_at_this_machine_is_refused(client: FlaskClient) -> None:
    refused = client.post("/predict", json=PAYMENT, headers={"Host": "rebound.evil.example:8000"})

    assert_problem(refused, 403, "cross_site_request")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": ""},
        {"Host": "127.0.0.1:8000"},
        {"Host": "host.docker.internal:8000"},
        {"Host": "localhost:8000", "Origin": "http://localhost:8000"},
        # A development server that passes on what a page of its own asks for.
        {"Host": "localhost:8000", "Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_programs_and_own_pages_ask_an_open_stack_as_ever(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/predict", json=PAYMENT, headers=headers).status_code == 200
    assert client.get("/decisions", headers=headers).status_code == 200


def test_where_keys_are_asked_for_any_name_will_do(door: FlaskClient, make_key: MakeKey) -> None:
    shown = {**bearer(make_key("score")), "Host": "tollgate.example", **CROSS_SITE}

    assert door.post("/predict", json=PAYMENT, headers=shown).status_code == 200
