"""GET /session/check: who the proxy lets on to which page."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from tests.unit.web.auth.browser import HTML, ask, sign_in
from tests.unit.web.auth.conftest import ADMIN_KEY, MakeKey, bearer
from tests.web_app import assert_problem, build_app
from web.auth.access import Access
from web.memory_gateway import MemoryGateway
from web.views.session_check import COOKIE, printable

DOMAIN = "example.com"


@pytest.fixture(scope="module")
def proxied(
    required: Settings, shared_gateway: MemoryGateway, schema: Schema, validator: Validator, access: Access
) -> Flask:
    settings = required.model_copy(update={"public_domain": DOMAIN})
    return build_app(settings, shared_gateway, schema, validator, access=access)


@pytest.fixture
def proxy(proxied: Flask, gateway: MemoryGateway) -> FlaskClient:
    return proxied.test_client(use_cookies=False)


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


def test_a_browser_is_led_past_the_login_to_a_cookie_that_opens_this_page_until_it_signs_out(
    proxied: Flask, proxy: FlaskClient, make_key: MakeKey
) -> None:
    to_pass = asked(proxy, "grafana", **HTML)
    assert to_pass.status_code == 302
    assert to_pass.headers["Location"].startswith("https://tollgate.example.com/console/pass?page=grafana&to=%2Fd%2F1")
    path = to_pass.headers["Location"].removeprefix("https://tollgate.example.com")
    assert proxy.get(path, headers=HTML).headers["Location"].startswith("/console/login?next=%2Fconsole%2Fpass")

    person = sign_in(proxied, make_key("read", name="ana"))
    with_code = person.get(path, headers=HTML).headers["Location"]
    assert with_code.startswith("https://grafana.example.com/d/1?x=y&tollgate_pass=")
    place = with_code.removeprefix("https://grafana.example.com")
    back = asked(proxy, "grafana", **HTML, X_Forwarded_Uri=place)
    assert (back.status_code, back.headers["Location"]) == (302, "https://grafana.example.com/d/1?x=y")
    name, _, rest = back.headers["Set-Cookie"].partition("=")
    assert name.startswith("__Host-")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(rest.split("; "))

    cookie = {"Cookie": f"{name}={rest.partition(';')[0]}"}
    opened = asked(proxy, "grafana", **cookie)
    assert (opened.status_code, opened.headers["X-Auth-Request-User"]) == (204, "key:ana")
    assert_problem(asked(proxy, "mlflow", **cookie), 401, "unauthenticated")
    again = asked(proxy, "grafana", **HTML, X_Forwarded_Uri=place)
    assert again.headers["Location"].startswith("https://tollgate.example.com/console/pass"), "a code works once"
    assert ask(person, "/console/logout").status_code == 303
    assert_problem(asked(proxy, "grafana", **cookie), 401, "unauthenticated")


def test_a_code_is_no_cookie_and_opens_no_other_page(proxied: Flask, proxy: FlaskClient, make_key: MakeKey) -> None:
    person = sign_in(proxied, make_key("operate"))
    place = person.get("/console/pass?page=mlflow&to=/").headers["Location"].removeprefix("https://mlflow.example.com")
    code = place.partition("tollgate_pass=")[2]

    assert_problem(asked(proxy, "mlflow", Cookie=f"{COOKIE}={code}"), 401, "unauthenticated")
    elsewhere = asked(proxy, "prometheus", **HTML, X_Forwarded_Uri=place)
    assert elsewhere.headers["Location"].startswith("https://tollgate.example.com/console/pass?page=prometheus")
    assert (
        asked(proxy, "mlflow", **HTML, X_Forwarded_Uri=place)
        .headers["Location"]
        .startswith("https://tollgate.example.com/console/pass")
    ), "tried in vain, it is spent"


@pytest.mark.parametrize("query", ["page=grafana", "page=mlflow&to=//evil.test", "page=wiki", "", "page=mlflow&to=x"])
def test_a_pass_is_handed_only_to_who_holds_the_scope_and_only_to_the_page(
    query: str, proxied: Flask, make_key: MakeKey
) -> None:
    answer = sign_in(proxied, make_key("operate")).get(f"/console/pass?{query}")

    if "evil" in query:
        assert answer.headers["Location"].startswith("https://mlflow.example.com//evil.test?tollgate_pass=")
    else:
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "application/json"},
        {"Accept": "text/html", "X-Forwarded-Method": "POST"},
        {"Accept": "text/html", "X-Forwarded-Host": "grafana.evil.test"},
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
