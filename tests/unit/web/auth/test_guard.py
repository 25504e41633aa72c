"""Every route behind the door: what it asks for, what who does not show it is told, and in which order."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.errors import LedgerUnavailable
from tests.unit.web.auth.conftest import ADMIN_KEY, MakeKey, bearer
from tests.web_app import PAYMENT, assert_problem
from web.auth.access import Access
from web.auth.guard import guard
from web.auth.memory_keys import MemoryKeys
from web.auth.principal import SCOPES, Scope
from web.auth.rights import RIGHTS, Right
from web.auth.rights_reference import table
from web.memory_gateway import MemoryGateway
from web.routes import route_name

PUBLIC = {
    "GET /", "GET /docs", "GET /openapi.json", "GET /problems/{code}", "GET /static/{filename}",
    "GET /health", "GET /health/live", "GET /health/ready", "GET /session/check",
    "GET /console/login", "POST /console/login", "GET /console/login/issuer", "GET /console/login/callback",
}  # fmt: skip
SIGNS_IN = re.compile(r"\{|login/|POST|/session/check")
"""What is public and needs more than to be asked for."""


def served() -> Iterator[tuple[str, str, Right]]:
    """Method, path with its arguments filled in, and right of everything that is not public."""
    for route, right in RIGHTS.items():
        if not right.is_public:
            method, _, path = route.partition(" ")
            yield method, re.sub(r"\{\w+\}", "1", path), right


def test_the_table_of_rights_is_the_app(guarded: Flask) -> None:
    rules = [(rule.rule, method) for rule in guarded.url_map.iter_rules() for method in rule.methods or ()]
    routes = {f"{method} {route_name(rule)}" for rule, method in rules if method not in ("HEAD", "OPTIONS")}

    assert set(RIGHTS) == routes
    assert {route for route, right in RIGHTS.items() if right.is_public} == PUBLIC


def test_a_route_that_the_table_does_not_know_cannot_be_served(access: Access) -> None:
    app = Flask("forgetful")
    app.add_url_rule("/forgotten", view_func=lambda: "everything")

    with pytest.raises(KeyError, match="GET /forgotten"):
        guard(app, access.door)


def test_every_route_without_credentials_is_a_401_that_says_how(door: FlaskClient) -> None:
    asked = list(served())
    assert len(asked) > 70
    for method, path, _ in asked:
        response = door.open(path, method=method, json={} if method == "POST" else None)

        assert_problem(response, 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="tollgate"', path


def test_every_route_with_a_key_of_other_scopes_is_a_403(door: FlaskClient, make_key: MakeKey) -> None:
    for method, path, right in (one for one in served() if one[2].scopes):
        key = make_key(*(scope for scope in SCOPES if scope not in right.scopes and scope != "admin"))

        response = door.open(path, method=method, headers=bearer(key), json={} if method == "POST" else None)

        assert " or ".join(right.scopes) in assert_problem(response, 403, "forbidden")["detail"], path
        assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


OPENED = {
    "score": "/batches",
    "read": "/decisions",
    "review": "/reviews",
    "metrics": "/prometheus",
    "operate": "/dead-letters",
    "admin": "/keys",
}


@pytest.mark.parametrize("scope", OPENED)
def test_a_scope_opens_its_route_and_admin_opens_every_one(door: FlaskClient, make_key: MakeKey, scope: Scope) -> None:
    for key in (make_key(scope), ADMIN_KEY):
        assert door.get(OPENED[scope], headers=bearer(key)).status_code == 200


def test_a_payment_is_scored_for_who_holds_the_scope(door: FlaskClient, make_key: MakeKey) -> None:
    for headers in (bearer(make_key("score")), {"X-Api-Key": make_key("score")}):
        assert door.post("/predict", json=PAYMENT, headers=headers).status_code == 200
    assert_problem(door.post("/predict", json=PAYMENT, headers=bearer(make_key("read"))), 403, "forbidden")


@pytest.mark.parametrize("path", sorted(route.removeprefix("GET ") for route in PUBLIC if not SIGNS_IN.search(route)))
def test_what_is_public_needs_nothing_and_minds_no_wrong_key(door: FlaskClient, path: str) -> None:
    assert door.get(path).status_code == 200
    assert door.get(path, headers=bearer("tg_wrong")).status_code == 200


def test_health_tells_nobody_more_than_whether_it_scores(
    door: FlaskClient, gateway: MemoryGateway, make_key: MakeKey
) -> None:
    told, known = door.get("/health").json, door.get("/health", headers=bearer(make_key("read"))).json

    assert (told["status"], told["broker"]) == ("ok", "up")
    assert [told[name] for name in ("workers", "model_version", "champion", "served_versions")] == [[], None, None, []]
    assert known["model_version"] == "m1"
    gateway.workers = []
    assert_problem(door.get("/health/ready"), 503, "not_ready")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("GET", "/predict"), ("PATCH", "/decisions"), ("GET", "/predictions/t-9")]
)
def test_what_is_not_there_is_told_only_to_who_is_known(
    door: FlaskClient, make_key: MakeKey, method: str, path: str
) -> None:
    assert_problem(door.open(path, method=method), 401, "unauthenticated")
    assert door.open(path, method=method, headers=bearer(make_key("score"))).status_code in (404, 405)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer  "},
        {"Authorization": f"Basic {ADMIN_KEY}"},
        {"X-Api-Key": ""},
        {"Authorization": f"Bearer{ADMIN_KEY}"},
        {"X-Tollgate-Principal": "admin", "X-Auth-Request-User": "admin"},
    ],
)
def test_headers_without_a_key_show_nothing(door: FlaskClient, headers: dict[str, str]) -> None:
    assert_problem(door.get("/decisions", headers=headers), 401, "unauthenticated")


def test_a_wrong_key_is_told_to_be_wrong(door: FlaskClient) -> None:
    for headers in (bearer("nonsense"), bearer("é" * 50), {"X-Api-Key": "tg_abc"}, bearer(f"{ADMIN_KEY}x")):
        response = door.get("/decisions", headers=headers)

        assert "not known" in assert_problem(response, 401, "unauthenticated")["detail"]
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


class UnreadBody(io.BytesIO):
    """A body that must not be read."""

    def read(self, *_arguments: Any) -> bytes:
        pytest.fail("the body was read before it was known whose it is")


def test_a_payment_of_nobody_is_refused_before_its_body_is_read(guarded: Flask) -> None:
    answered: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/predict", "QUERY_STRING": "", "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "9999", "wsgi.input": UnreadBody(), "SERVER_NAME": "x", "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }  # fmt: skip

    chunks = iter(guarded.wsgi_app(environ, lambda status, _headers: answered.append(status) or (lambda _: None)))
    body = json.loads(next(chunks))

    assert (answered[0], body["code"]) == ("401 Unauthorized", "unauthenticated")


def test_until_keys_could_be_read_known_ones_are_a_503_and_those_of_the_settings_work(
    guarded: Flask, door: FlaskClient, required: Any, make_key: MakeKey
) -> None:
    from tests.web_app import build_app
    from web.auth.access import make_access
    from web.metrics import WebMetrics

    key = make_key("read")
    services = guarded.extensions["tollgate"]
    away = make_access(required, MemoryKeys(failure=LedgerUnavailable("away")), WebMetrics())
    away.refresh()
    app = build_app(required, services.gateway, services.schema, services.validator, access=away)

    response = app.test_client().get("/decisions", headers=bearer(key))

    assert_problem(response, 503, "auth_unavailable")
    assert int(response.headers["Retry-After"]) >= 1
    assert app.test_client().get("/decisions", headers=bearer(ADMIN_KEY)).status_code == 200


def test_refusals_and_readings_of_the_table_are_counted(required: Any) -> None:
    from web.auth.access import make_access
    from web.auth.rights import RECOGNISED
    from web.metrics import WebMetrics

    metrics, store = WebMetrics(), MemoryKeys()
    access = make_access(required, store, metrics)
    access.refresh()
    store.failure = LedgerUnavailable("away")
    access.refresh()
    with pytest.raises(Exception, match="show an API key"):
        access.door.admit({}, RECOGNISED)

    text = metrics.exposition("")[0].decode()

    assert 'tollgate_key_reads_total{outcome="read"} 1.0' in text
    assert 'tollgate_key_reads_total{outcome="failed"} 1.0' in text
    assert 'tollgate_auth_refused_total{reason="unauthenticated"} 1.0' in text


def test_an_open_stack_looks_at_no_credentials(client: FlaskClient) -> None:
    assert client.get("/decisions", headers=bearer("nonsense")).status_code == 200
    assert client.get("/keys").status_code == 200
    assert client.get("/health").json["model_version"] == "m1"


@pytest.mark.parametrize("path", ["/console/login/issuer", "/console/login/callback?code=x&state=y"])
def test_on_an_open_stack_nobody_comes_back_from_an_issuer(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(path, headers={"Accept": "application/json"}), 404, "unknown_id")


def test_the_page_about_security_shows_the_table_of_rights() -> None:
    docs = Path(__file__).parents[4] / "docs"

    assert table() in (docs / "SECURITY.md").read_text("utf-8"), "run: python -m web.auth.rights_reference"
    how_to = (docs / "authentication.md").read_text("utf-8")
    assert [scope for scope in SCOPES if f"| `{scope}` |" not in how_to] == []
