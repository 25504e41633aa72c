"""What shows or changes the whole system is closed to every tenant but the operator's, new routes included."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.web.tenants.conftest import Site
from tests.web_app import assert_problem
from web.routes import route_name
from web.tenancy import NOBODYS_DATA, OWN_DATA


@pytest.fixture
def owner() -> str:
    return "acme"


def operators_requests(site: Site) -> list[tuple[str, str]]:
    """Method and path of everything that is neither a tenant's data nor nobody's."""
    return [
        (method, site.app.url_map.bind("").build(rule.endpoint, dict.fromkeys(rule.arguments, 1), method=method))
        for rule in site.app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
        if route_name(rule.rule) not in OWN_DATA | NOBODYS_DATA
    ]


def test_a_tenant_is_refused_on_every_route_of_the_operators(site: Site) -> None:
    asked = operators_requests(site)

    assert len(asked) > 60
    assert ("GET", "/console/operations") in asked
    for method, path in asked:
        response: Any = site.ask("acme", method, path, headers={"Accept": "application/json"})
        assert response.status_code == 403, (method, path)


def test_the_refusal_says_why(site: Site) -> None:
    document = assert_problem(site.ask("acme", "GET", "/metrics"), 403, "forbidden")

    assert document["detail"] == "this shows or changes the whole system, and tenant acme sees its own data only"


def test_the_console_refuses_with_a_page(site: Site) -> None:
    response = site.ask("acme", "GET", "/console/operations", headers={"Accept": "text/html"})

    assert (response.status_code, response.mimetype) == (403, "text/html")


def test_the_operator_and_pages_about_no_payment_stay_open(site: Site) -> None:
    assert site.ask("default", "GET", "/metrics").status_code == 200
    assert site.ask("default", "GET", "/console").status_code == 200
    assert site.ask("acme", "GET", "/openapi.json").status_code == 200
    assert_problem(site.ask("acme", "GET", "/no-such-route"), 404, "unknown_route")


def test_the_console_shows_a_tenant_its_own_pages_alone(site: Site) -> None:
    text = site.ask("acme", "GET", "/console/decisions").text

    links = re.findall(r'<li><a href="(/console[^"]*)"', text)
    assert links == ["/console/decisions", "/console/reviews", "/console/batches"]
