"""GET /session/check: who the proxy lets on to which page."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from tests.unit.web.auth.conftest import ADMIN_KEY, MakeKey, bearer
from tests.web_app import assert_problem, build_app
from web.auth.access import Access
from web.memory_gateway import MemoryGateway
from web.views.session_check import printable

DOMAIN = "example.com"


@pytest.fixture(scope="module")
def proxied(
    required: Settings, shared_gateway: MemoryGateway, schema: Schema, validator: Validator, access: Access
) -> Flask:
    settings = required.model_copy(update={"public_domain": DOMAIN})
    return build_app(settings, shared_gateway, schema, validator, access=access)


@pytest.fixture
def proxy(proxied: Flask, gateway: MemoryGateway) -> FlaskClient:
    return proxied.test_client()


def asked(proxy: FlaskClient, page: str, **headers: str) -> Any:
    """As Traefik asks about GET https://PAGE.example.com/d/1?x=y."""
    forwarded = {"Host": f"{page}.{DOMAIN}", "Uri": "/d/1?x=y", "Proto": "https", "Method": "GET"}
    given = {f"X-Forwarded-{name}": value for name, value in forwarded.items()}
    return proxy.get("/session/check", headers={**given, **{k.replace("_", "-"): v for k, v in headers.items()}})


@pytest.mark.parametrize(
    ("scope", "opened"),
    [("read", {"grafana"}), ("operate", {"prometheus", "alertmanager", "mlflow"}), ("score", set())],
)
def test_a_scope_opens_its_pages_and_no_others(
    scope: str, opened: set[str], proxy: FlaskClient, make_key: MakeKey
) -> None:
    shown = bearer(make_key(scope))
    pages = ("grafana", "prometheus", "alertmanager", "mlflow")
    answers = {page: asked(proxy, page, **shown) for page in pages}

    assert {page for page, answer in answers.items() if answer.status_code == 204} == opened
    for page, answer in answers.items():
        if page in opened:
            assert answer.headers["X-Auth-Request-User"]
        else:
            assert_problem(answer, 403, "forbidden")


def test_an_administrator_sees_every_page_and_another_tenant_none(proxy: FlaskClient, make_key: MakeKey) -> None:
    assert asked(proxy, "mlflow", **bearer(ADMIN_KEY)).status_code == 204
    assert_problem(asked(proxy, "grafana", **bearer(make_key("read", tenant="acme"))), 403, "forbidden")


def test_a_browser_without_credentials_is_sent_to_the_login_and_back(proxy: FlaskClient) -> None:
    answer = asked(proxy, "grafana", Accept="text/html,*/*;q=0.8")

    assert answer.status_code == 302
    back = "https%3A%2F%2Fgrafana.example.com%2Fd%2F1%3Fx%3Dy"
    assert answer.headers["Location"] == f"https://tollgate.example.com/console/login?next={back}"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "application/json"},
        {"Accept": "text/html", "X-Forwarded-Method": "POST"},
        {"Accept": "text/html", "X-Forwarded-Host": "grafana.evil.example"},
        {"Authorization": "Bearer tg_made-up"},
    ],
)
def test_everybody_else_without_credentials_is_refused(proxy: FlaskClient, headers: dict[str, str]) -> None:
    assert_problem(asked(proxy, "grafana", **headers), 401, "unauthenticated")


@pytest.mark.parametrize("host", ["tollgate", "wiki", ""])
def test_a_place_that_is_none_of_the_pages_is_opened_to_nobody(host: str, proxy: FlaskClient) -> None:
    assert_problem(asked(proxy, host, **bearer(ADMIN_KEY)), 403, "forbidden")


def test_without_a_domain_no_page_is_opened(door: FlaskClient) -> None:
    assert_problem(asked(door, "grafana", **bearer(ADMIN_KEY)), 403, "forbidden")


def test_where_nobody_is_asked_for_credentials_tollgate_vouches_for_nobody(
    settings: Settings, shared_gateway: MemoryGateway, schema: Schema, validator: Validator
) -> None:
    open_to_all = build_app(
        settings.model_copy(update={"public_domain": DOMAIN}), shared_gateway, schema, validator
    ).test_client()

    assert_problem(asked(open_to_all, "grafana"), 401, "unauthenticated")


def test_a_change_that_another_site_asks_for_is_refused(proxy: FlaskClient) -> None:
    shown = {**bearer(ADMIN_KEY), "X-Forwarded-Method": "POST"}

    assert_problem(asked(proxy, "mlflow", **shown, **{"Sec-Fetch-Site": "cross-site"}), 403, "cross_site_request")
    assert asked(proxy, "mlflow", **shown, **{"Sec-Fetch-Site": "same-origin"}).status_code == 204


def test_a_name_cannot_break_out_of_its_header() -> None:
    assert printable("Anná\r\nSet-Cookie: x") == "Ann???Set-Cookie: x"
