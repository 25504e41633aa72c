"""Signing in at a real issuer on loopback: the way there and back, and everything on it that must not be believed."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.errors import SettingInvalid
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.token_issuer import AUDIENCE, Issuer, Signer, make_signer, running_issuer
from tests.unit.web.auth.browser import HTML
from tests.web_app import build_app, decide_by_amount
from web.auth.access import make_access
from web.auth.memory_keys import MemoryKeys
from web.auth.memory_sessions import MemorySessions
from web.memory_gateway import MemoryGateway
from web.metrics import WebMetrics

CLIENT = "tollgate-console"
SCOPES = "tollgate:read tollgate:review"
COOKIE = "tollgate_session"


@pytest.fixture(scope="module")
def signer() -> Signer:
    return make_signer("ec-1", "ES256")


@pytest.fixture(scope="module")
def server(signer: Signer) -> Iterator[Issuer]:
    with running_issuer(signer) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def make_site(server: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Flask]:
    schema = load_schema(DEFAULT_SCHEMA)
    data_dir: Path = tmp_path_factory.mktemp("data")

    def make(**changed: Any) -> Flask:
        usual = {"oidc_issuer": server.url, "oidc_audience": AUDIENCE, "oidc_client_id": CLIENT}
        settings = Settings(data_dir=data_dir, auth="required", **{**usual, **changed})
        access = make_access(settings, MemoryKeys(), WebMetrics(), kept=MemorySessions())
        gateway = MemoryGateway(decide_by_amount)
        return build_app(settings, gateway, schema, compile_validator(schema), access=access)

    return make


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Flask]) -> Flask:
    return make_site()


@pytest.fixture
def issuer(server: Issuer, signer: Signer) -> Issuer:
    """The module's issuer, as new."""
    server.signers, server.claims, server.changed, server.is_away = [signer], {"scope": SCOPES}, {}, False
    server.exchanged.clear()
    return server


@pytest.fixture
def browser(site: Flask, issuer: Issuer) -> FlaskClient:
    return site.test_client()


def go_there(browser: FlaskClient, query: str = "") -> str:
    """Press the button; where the issuer sends the browser back to."""
    begun = browser.get(f"/console/login/issuer{query}", headers=HTML)
    assert begun.status_code == 303, begun.text
    place = urlsplit(begun.location)
    connection = http.client.HTTPConnection(place.netloc, timeout=5)
    connection.request("GET", f"{place.path}?{place.query}")
    back = connection.getresponse().getheader("Location")
    connection.close()
    assert back is not None
    return back.removeprefix("http://localhost")


def come_back(browser: FlaskClient, path: str) -> Any:
    return browser.get(path, headers=HTML)


def test_somebody_signs_in_at_the_issuer_and_has_the_scopes_that_it_says(browser: FlaskClient) -> None:
    form = browser.get("/console/login?next=/console/reviews", headers=HTML)
    assert 'href="/console/login/issuer?next=/console/reviews"' in form.text

    signed_in = come_back(browser, go_there(browser, "?next=/console/reviews"))

    assert (signed_in.status_code, signed_in.location) == (303, "/console/reviews")
    assert "token:ana" in browser.get("/console/reviews", headers=HTML).text
    assert browser.get("/console/operations", headers=HTML).status_code == 403
    assert browser.get_cookie("tollgate_sign_in") is None


def test_the_issuer_is_asked_with_state_nonce_and_a_challenge_of_this_browser_alone(browser: FlaskClient) -> None:
    begun = browser.get("/console/login/issuer", headers=HTML)
    asked = {name: value for name, [value] in parse_qs(urlsplit(begun.location).query).items()}
    cookie = begun.headers["Set-Cookie"]

    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT, "openid")
    assert asked["code_challenge_method"] == "S256"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    assert all(len(asked[name]) == 43 for name in ("state", "nonce", "code_challenge"))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert asked["state"] not in cookie


def test_a_client_with_a_secret_shows_it_and_one_without_shows_its_name(
    make_site: Callable[..., Flask], browser: FlaskClient, issuer: Issuer
) -> None:
    known = make_site(oidc_client_secret="s3cret: of us").test_client()
    for client in (browser, known):
        assert come_back(client, go_there(client)).status_code == 303

    public, confidential = issuer.exchanged
    assert public["authorization"] == ""
    assert confidential["authorization"].startswith("Basic ")
    assert {one["client_id"] for one in (public, confidential)} == {CLIENT}


def test_an_answer_counts_once_and_only_in_the_browser_that_began(site: Flask, browser: FlaskClient) -> None:
    back = go_there(browser)

    assert come_back(site.test_client(), back).status_code == 403
    assert come_back(browser, back).status_code == 303
    again = come_back(browser, back)
    assert (again.status_code, "began no sign-in" in again.text) == (403, True)


def replaced(path: str, **changed: str | None) -> str:
    place = urlsplit(path)
    query = {**dict(parse_qsl(place.query)), **changed}
    return f"{place.path}?{urlencode({name: value for name, value in query.items() if value is not None})}"


ANSWERS: dict[str, tuple[dict[str, str | None], str]] = {
    "another state": ({"state": "x" * 43}, "another sign-in"),
    "no state": ({"state": None}, "another sign-in"),
    "another issuer": ({"iss": "https://evil.example"}, "another issuer"),
    "a no": ({"code": None, "error": "access_denied"}, "access_denied"),
    "a made-up code": ({"code": "made-up"}, "does not take the code"),
}


@pytest.mark.parametrize("why", ANSWERS)
def test_an_answer_that_is_wrong_in_one_way_signs_nobody_in(browser: FlaskClient, why: str) -> None:
    changed, reason = ANSWERS[why]

    refused = come_back(browser, replaced(go_there(browser), **changed))

    assert (refused.status_code, reason in refused.text) == (403, True), refused.text
    assert browser.get_cookie(COOKIE) is None


TOKENS: dict[str, tuple[dict[str, Any], str]] = {
    "another nonce": ({"nonce": "of another sign-in"}, "made for another sign-in"),
    "no nonce": ({"nonce": None}, "made for another sign-in"),
    "another client": ({"aud": "another"}, "Audience"),
    "the audience of bearer tokens": ({"aud": AUDIENCE}, "Audience"),
    "for two clients, asked by the other": ({"aud": [CLIENT, "another"], "azp": "another"}, "another client"),
    "another issuer": ({"iss": "https://evil.example"}, "issuer"),
    "too old": ({"exp": int(time.time()) - 3600}, "expired"),
    "none of our scopes": ({"scope": "openid"}, "none of our scopes"),
}


@pytest.mark.parametrize("why", TOKENS)
def test_an_id_token_that_is_wrong_in_one_way_signs_nobody_in(browser: FlaskClient, issuer: Issuer, why: str) -> None:
    changed, reason = TOKENS[why]
    issuer.claims = {"scope": SCOPES, **changed}

    refused = come_back(browser, go_there(browser))

    assert (refused.status_code, reason in refused.text) == (403, True), refused.text
    assert browser.get_cookie(COOKIE) is None


def test_an_id_token_of_another_key_signs_nobody_in(browser: FlaskClient, issuer: Issuer, signer: Signer) -> None:
    back = go_there(browser)
    assert come_back(browser, back).status_code == 303, "the issuer's keys are known from here on"
    back = go_there(browser)
    issuer.signers = [make_signer(signer.key_id, "ES256")]

    assert come_back(browser, back).status_code == 403


def test_while_the_issuer_is_away_the_login_says_so_and_keys_go_on(browser: FlaskClient, issuer: Issuer) -> None:
    issuer.is_away = True

    refused = browser.get("/console/login/issuer", headers=HTML)

    assert (refused.status_code, 'role="alert"' in refused.text, 'name="key"' in refused.text) == (503, True, True)


def test_an_issuer_whose_endpoints_are_not_as_safe_as_itself_is_not_used(browser: FlaskClient, issuer: Issuer) -> None:
    issuer.changed = {"authorization_endpoint": "javascript:alert(1)"}

    assert browser.get("/console/login/issuer", headers=HTML).status_code == 503


def test_who_knows_no_client_id_has_no_button_and_a_client_id_needs_an_issuer(make_site: Callable[..., Flask]) -> None:
    site = make_site(oidc_client_id="").test_client()

    assert "organization" not in site.get("/console/login", headers=HTML).text
    assert site.get("/console/login/issuer", headers=HTML).status_code == 404
    with pytest.raises(SettingInvalid, match="TOLLGATE_OIDC_CLIENT_ID"):
        make_site(oidc_issuer="", oidc_audience="")
