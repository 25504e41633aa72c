"""Signing in to the console with a key: the form, the cookie, what a session opens, and how it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.errors import AuthUnavailable, LedgerUnavailable, TollgateError
from config.names import session_key
from config.settings import Settings
from tests.unit.web.auth.browser import HTML, HTTPS, ask, sign_in, submit_key, token_in
from tests.unit.web.auth.conftest import ADMIN_KEY, MakeKey, bearer
from tests.unit.web.console_browser import SECRET
from tests.web_app import JSON, PAYMENT, assert_problem, build_app
from web.auth.access import Access
from web.auth.memory_keys import MemoryKeys
from web.auth.memory_sessions import MemorySessions
from web.console.visitor import TOKEN_HEADER, Visitor
from web.limits.tries import remember_tries
from web.memory_gateway import MemoryGateway

COOKIE = "tollgate_session"


@pytest.fixture
def sessions(kept: MemorySessions) -> Iterator[MemorySessions]:
    yield kept
    kept.failure = None
    kept.kept.clear()


@pytest.fixture
def app(guarded: Flask, gateway: MemoryGateway, sessions: MemorySessions) -> Flask:
    return guarded


def cookies_set(response: Any) -> dict[str, str]:
    """What Set-Cookie says, by the cookie's name."""
    return {text.partition("=")[0]: text for text in response.headers.getlist("Set-Cookie")}


def secret_of(client: FlaskClient, name: str = COOKIE) -> str:
    found = client.get_cookie(name, domain="console.example" if name.startswith("__") else "localhost")
    assert found is not None
    return found.value


def test_people_without_a_session_are_led_to_the_login_and_back(app: Flask, make_key: MakeKey) -> None:
    client = app.test_client()
    asked = client.get("/console/decisions?action=review", headers=HTML)
    assert (asked.status_code, asked.location) == (303, "/console/login?next=%2Fconsole%2Fdecisions%3Faction%3Dreview")

    form = client.get(asked.location, headers=HTML)
    next_path = re.search(r'name="next" value="([^"]*)"', form.text)
    assert next_path is not None
    signed_in = submit_key(client, make_key("read", name="ana"), next_path=next_path[1])

    assert (signed_in.status_code, signed_in.location) == (303, "/console/decisions?action=review")
    page = client.get(signed_in.location, headers=HTML)
    assert page.status_code == 200
    assert "key:ana" in page.text


@pytest.mark.parametrize("path", ["/console/live", "/console/reviews/queue", "/decisions", "/metrics"])
def test_scripts_and_programs_without_a_session_get_a_problem(app: Flask, path: str) -> None:
    assert_problem(app.test_client().get(path, headers={"Accept": JSON}), 401, "unauthenticated")


def test_the_cookie_is_the_hosts_alone_and_the_store_cannot_tell_it(
    app: Flask, sessions: MemorySessions, make_key: MakeKey
) -> None:
    client = app.test_client()
    secure = cookies_set(submit_key(client, make_key("read"), base_url=HTTPS))
    plain = cookies_set(submit_key(app.test_client(), make_key("read")))

    assert re.fullmatch(
        r"__Host-tollgate_session=[0-9a-f]{64}; Secure; HttpOnly; Path=/; SameSite=Lax",
        secure["__Host-tollgate_session"],
    )
    assert re.fullmatch(r"tollgate_session=[0-9a-f]{64}; HttpOnly; Path=/; SameSite=Lax", plain[COOKIE])
    assert secret_of(client, "__Host-tollgate_session") not in repr(sessions.kept)
    assert all(re.fullmatch(re.escape(session_key("")) + "[0-9a-f]{64}", key) for key in sessions.kept)


def test_over_https_the_cookie_of_http_is_not_looked_at(app: Flask, make_key: MakeKey) -> None:
    secret = secret_of(sign_in(app, make_key("read")))
    client = app.test_client()
    client.set_cookie(COOKIE, secret, domain="console.example")

    assert client.get("/console", base_url=HTTPS, headers=HTML).status_code == 303


def test_over_http_from_another_machine_nobody_signs_in(app: Flask, make_key: MakeKey) -> None:
    away = {"environ_overrides": {"REMOTE_ADDR": "10.0.0.7"}}

    refused = submit_key(app.test_client(), make_key("read"), **away)

    assert refused.status_code == 403
    assert "needs https" in refused.text
    assert COOKIE not in cookies_set(refused)
    assert submit_key(app.test_client(), make_key("read"), base_url=HTTPS, **away).status_code == 303


def test_a_proxy_that_is_trusted_says_that_it_was_https(
    required: Settings, app: Flask, access: Access, make_key: MakeKey
) -> None:
    services, said = app.extensions["tollgate"], {"REMOTE_ADDR": "10.0.0.7", "HTTP_X_FORWARDED_PROTO": "https"}
    for proxies, status, cookie in ((1, 303, f"__Host-{COOKIE}"), (0, 403, None)):
        behind = build_app(
            required.model_copy(update={"trusted_proxies": proxies}),
            services.gateway,
            services.schema,
            services.validator,
            access=access,
        )

        answer = submit_key(behind.test_client(), make_key("read"), environ_overrides=said)

        assert answer.status_code == status
        assert [name for name in cookies_set(answer) if name.endswith(COOKIE)] == ([cookie] if cookie else [])


@pytest.mark.parametrize("key", ["", "nonsense", "tg_abcdefgh_" + "x" * 43, ADMIN_KEY[:-1]])
def test_a_wrong_key_is_told_on_the_form_counted_and_never_repeated(app: Flask, key: str) -> None:
    before = _refused_so_far(app)

    refused = submit_key(app.test_client(), key)

    assert refused.status_code == 401
    assert 'role="alert"' in refused.text
    assert 'aria-invalid="true"' in refused.text
    assert not key or key not in refused.text
    assert COOKIE not in cookies_set(refused)
    assert _refused_so_far(app) == before + 1


def _refused_so_far(app: Flask) -> float:
    text = app.extensions["tollgate"].metrics.exposition("")[0].decode()
    found = re.search(r'tollgate_sign_ins_total\{outcome="refused"\} (\S+)', text)
    assert found is not None
    return float(found[1])


class TooManyTries(TollgateError):
    code, status, title = "rate_limited", 429, "Too many requests"


class NoTriesLeft:
    """An address that has used up its budget."""

    def require(self, environ: dict[str, Any]) -> None:
        raise TooManyTries("too many wrong credentials came from this address", retry_after_s=7)


def test_an_address_without_tries_left_is_refused_before_its_key_is_looked_at(app: Flask, make_key: MakeKey) -> None:
    client = app.test_client()
    form = client.get("/console/login", headers=HTML)
    environ: dict[str, Any] = {}
    remember_tries(environ, NoTriesLeft())

    refused = client.post(
        "/console/login",
        data={"token": token_in(form), "key": make_key("read")},
        headers=HTML,
        environ_overrides=environ,
    )

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert COOKIE not in cookies_set(refused)


def test_after_its_tries_an_address_signs_in_no_more_even_with_a_key_that_holds(
    required: Settings, app: Flask, access: Access, make_key: MakeKey
) -> None:
    few = required.model_copy(update={"limits": "on", "limit_failed_credentials": "3/minute"})
    services = app.extensions["tollgate"]
    limited = build_app(few, services.gateway, services.schema, services.validator, access=access)

    answers = [submit_key(limited.test_client(), "nonsense").status_code for _ in range(4)]

    assert answers == [401, 401, 401, 429]
    assert submit_key(limited.test_client(), make_key("read")).status_code == 429
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "127.0.0.2"}}
    assert submit_key(limited.test_client(), make_key("read"), **elsewhere).status_code == 303


def test_people_of_another_tenant_sign_in_to_what_is_theirs(app: Flask, make_key: MakeKey) -> None:
    client = app.test_client()
    signed_in = submit_key(client, make_key("read", "review", tenant="acme", name="ada"))
    assert signed_in.location == "/console/decisions"

    page = client.get(signed_in.location, headers=HTML)

    assert page.status_code == 200
    assert 'href="/console/reviews"' in page.text
    assert 'href="/console/models"' not in page.text
    assert client.get("/console/models", headers=HTML).status_code == 403
    assert client.post("/console/logout", data={"token": token_in(page)}, headers=HTML).status_code == 303


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
     "javascript:alert(1)", "evil.example", "/console/login?next=/console", "/console/logout", "///evil.example"],
)  # fmt: skip
def test_a_login_leads_to_no_other_host(app: Flask, make_key: MakeKey, elsewhere: str) -> None:
    signed_in = submit_key(app.test_client(), make_key("read"), next_path=elsewhere)

    assert (signed_in.status_code, signed_in.location) == (303, "/console")


def test_a_login_leads_to_the_first_page_that_its_scopes_open(app: Flask, make_key: MakeKey) -> None:
    homes = {scope: submit_key(app.test_client(), make_key(scope)).location for scope in ("review", "operate", "score")}

    assert homes == {"review": "/console/reviews", "operate": "/console/models", "score": "/console/batches"}


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}],
)
def test_another_site_can_sign_nobody_in(app: Flask, make_key: MakeKey, headers: dict[str, str]) -> None:
    client = app.test_client()
    form = client.get("/console/login", headers=HTML)
    sent = {"key": make_key("read"), "token": token_in(form)}

    refused = client.post("/console/login", data=sent, headers={**HTML, **headers})
    without = client.post("/console/login", data={"key": sent["key"]}, headers=HTML)

    assert (refused.status_code, without.status_code) == (403, 403)
    assert COOKIE not in cookies_set(refused) | cookies_set(without)


def test_a_session_that_was_planted_is_not_taken_over(app: Flask, sessions: MemorySessions, make_key: MakeKey) -> None:
    client = app.test_client()
    planted = "ab" * 32
    client.set_cookie(COOKIE, planted)

    submit_key(client, make_key("read"))

    assert secret_of(client) != planted
    client.set_cookie(COOKIE, planted)
    assert client.get("/console", headers=HTML).status_code == 303


def test_signing_in_anew_ends_the_session_before(app: Flask, make_key: MakeKey) -> None:
    client = sign_in(app, make_key("read"))
    first = secret_of(client)
    form = client.get("/console", headers=HTML)
    submitted = client.post("/console/login", data={"token": token_in(form), "key": make_key("read")}, headers=HTML)

    assert submitted.status_code == 303
    assert secret_of(client) != first
    client.set_cookie(COOKIE, first)
    assert client.get("/console", headers=HTML).status_code == 303


def test_signing_out_ends_the_session_everywhere_and_needs_the_pages_token(app: Flask, make_key: MakeKey) -> None:
    client = sign_in(app, make_key("read"))
    secret = secret_of(client)
    assert client.post("/console/logout", headers=HTML).status_code == 403
    assert client.post("/console/logout", data={"token": Visitor(SECRET).token}, headers=HTML).status_code == 403

    token = token_in(client.get("/console", headers=HTML))
    out = client.post("/console/logout", data={"token": token}, headers=HTML)

    assert (out.status_code, out.location) == (303, "/console/login")
    assert client.get_cookie(COOKIE) is None
    client.set_cookie(COOKIE, secret)
    assert client.get("/console", headers=HTML).status_code == 303


def test_a_session_ends_when_its_key_is_revoked(
    app: Flask, access: Access, sessions: MemorySessions, make_key: MakeKey
) -> None:
    key = make_key("read")
    client, other = sign_in(app, key), sign_in(app, make_key("read"))

    access.desk.revoke(key[3:11], actor="test", now=datetime.now(UTC))
    access.refresh()

    assert client.get("/console", headers=HTML).status_code == 303
    assert other.get("/console", headers=HTML).status_code == 200
    assert len(sessions.kept) == 1


def test_a_session_ends_when_its_key_expires(app: Flask, make_key: MakeKey) -> None:
    client = sign_in(app, make_key("read", lifetime=timedelta(milliseconds=400)))

    while client.get("/console", headers=HTML).status_code == 200:
        pass

    assert_problem(client.get("/console/live", headers={"Accept": JSON}), 401, "unauthenticated")


def test_a_session_opens_what_its_key_opens_and_no_more(app: Flask, make_key: MakeKey) -> None:
    client = sign_in(app, make_key("review", "read"))

    assert_problem(ask(client, "/console/models/m1/promote"), 403, "forbidden")
    assert client.get("/decisions").status_code == 200
    page = client.get("/console/operations", headers=HTML)
    assert (page.status_code, page.mimetype) == (403, "text/html")
    assert "Sign out" in page.text


def test_a_cookie_changes_nothing_outside_the_console(app: Flask, make_key: MakeKey) -> None:
    """Another site could send it there without a page's token."""
    client = sign_in(app, make_key())
    token = {TOKEN_HEADER: token_in(client.get("/console", headers=HTML))}
    for method, path in [
        ("POST", "/predict"),
        ("POST", "/retrain"),
        ("POST", "/keys"),
        ("DELETE", "/models/challenger"),
    ]:
        response = client.open(path, method=method, json=PAYMENT, headers=token)
        assert_problem(response, 401, "unauthenticated")


def test_a_page_shows_nobody_what_they_may_not_do(app: Flask, make_key: MakeKey) -> None:
    reader, operator = sign_in(app, make_key("read")), sign_in(app, make_key("read", "operate"))

    page = reader.get("/console/models", headers=HTML).text
    assert "data-ask=" not in page
    assert 'href="/console/operations"' not in page
    assert 'href="/console/reviews"' not in page
    assert 'data-ask="retrain"' in operator.get("/console/models", headers=HTML).text
    assert 'id="upload"' not in reader.get("/console/batches", headers=HTML).text


def test_a_verdict_carries_the_reviewers_name(app: Flask, gateway: MemoryGateway, make_key: MakeKey) -> None:
    decided = app.test_client().post("/predict", json=PAYMENT, headers=bearer(ADMIN_KEY)).json
    ana, bob = (sign_in(app, make_key("read", "review", name=name)) for name in ("ana", "bob"))
    case = f"/console/reviews/{decided['decision_id']}"

    assert ask(ana, f"{case}/claim").status_code == 204
    assert_problem(ask(bob, f"{case}/label", json={"is_fraud": True}), 409, "review_held")
    assert ask(ana, f"{case}/label", json={"is_fraud": True}).status_code == 202

    [(label, _)] = gateway.labels
    assert (label.source, label.client) == ("manual_review", "key:ana")
    assert "key:ana" in ana.get(f"/console/decisions/{decided['decision_id']}", headers=HTML).text


def test_what_an_operator_asks_for_at_the_console_is_recorded_in_their_name(app: Flask, make_key: MakeKey) -> None:
    models = app.extensions["tollgate"].models
    models.jobs.clear()

    assert ask(sign_in(app, make_key("read", "operate", name="ivo")), "/console/models/retrain").status_code == 202

    assert models.jobs[-1].actor == "key:ivo"
    models.jobs.clear()


def test_while_sessions_cannot_be_read_the_console_says_so(
    app: Flask, sessions: MemorySessions, make_key: MakeKey
) -> None:
    client = sign_in(app, make_key("read"))
    sessions.failure = AuthUnavailable("the broker keeps the sessions, and it does not answer")

    page = client.get("/console", headers=HTML)
    assert (page.status_code, page.mimetype) == (503, "text/html")
    assert "it does not answer" in page.text
    refused = submit_key(app.test_client(), make_key("read"))
    assert (refused.status_code, "it does not answer" in refused.text) == (503, True)
    assert client.get("/health").status_code == 200
    sessions.failure = None
    assert client.get("/console", headers=HTML).status_code == 200


def test_on_an_open_stack_nobody_signs_in(shared_app: Flask) -> None:
    client = shared_app.test_client()

    assert (client.get("/console/login").status_code, client.get("/console/login").location) == (303, "/console")
    text = client.get("/console", headers=HTML).text
    assert "Sign out" not in text


def test_the_login_is_a_page_without_inline_code_for_password_managers(app: Flask) -> None:
    page = app.test_client().get("/console/login", headers=HTML)

    assert 'autocomplete="current-password"' in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script|\sstyle=|\son\w+=", page.text)


def test_who_is_signed_in_goes_on_while_the_table_of_keys_cannot_be_read(
    app: Flask, store: MemoryKeys, access: Access, make_key: MakeKey
) -> None:
    client = sign_in(app, make_key("read"))
    store.failure = LedgerUnavailable("away")
    access.refresh()
    store.failure = None

    assert client.get("/console", headers=HTML).status_code == 200
