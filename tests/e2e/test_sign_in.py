"""Signing in to the console with a real Chromium: by key and at an issuer, by keyboard, and what other sites try.

The web side runs in this process, around a gateway in memory; sessions are in a real Valkey.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from config.contracts import Decision
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.e2e.browser import DESKTOP, PHONE, accessibility_problems, opened_page, take_screenshot
from tests.servers import RunningValkey
from tests.token_issuer import AUDIENCE, Issuer, make_signer, running_issuer
from tests.web_app import PAYMENT, build_app, decide_by_amount, serving
from web.auth.access import Access, make_access
from web.auth.key_desk import KeyWish
from web.auth.memory_keys import MemoryKeys
from web.auth.principal import Scope
from web.auth.session_store import RedisSessionStore
from web.memory_gateway import MemoryGateway
from web.metrics import WebMetrics
from web.ports.transactions import Transaction

pytestmark = [
    pytest.mark.slow,
    # The development server leaves a file to the garbage collector when a browser that moves on drops its connection.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

COOKIE = "tollgate_session"
LIMIT_MS = 20_000
LOOKS = {"light": (DESKTOP, "light"), "phone": (PHONE, "dark")}
EVIL = "http://evil.example"
ATTACK = (
    '<form method="post" action="{action}" enctype="text/plain"><input name="is_fraud" value="true"></form>'
    "<script>document.forms[0].submit()</script>"
)


def review_all(transaction: Transaction, transaction_id: str, explain: bool) -> Decision:
    return msgspec.structs.replace(decide_by_amount(transaction, transaction_id, explain), action="review")


@dataclass(frozen=True)
class Site:
    """A console that asks who is there. The issuer's pages are another site to the browser: another host."""

    url: str
    access: Access
    gateway: MemoryGateway
    issuer: Issuer

    def key(self, name: str, *scopes: Scope) -> str:
        """A key that counts at once."""
        made = self.access.desk.create(KeyWish(name, scopes), actor="test", now=datetime.now(UTC))
        self.access.refresh()
        return made.text

    def decide(self) -> str:
        """A case for reviewers; returns its decision's id."""
        parsed = compile_validator(load_schema(DEFAULT_SCHEMA)).parse(msgspec.json.encode(PAYMENT))
        outcome = self.gateway.score(parsed, transaction_id=f"t-{len(self.gateway.decided())}", wait_ms=1, explain=True)
        assert outcome.decision_json is not None
        decision_id: str = msgspec.json.decode(outcome.decision_json)["decision_id"]
        return decision_id


@contextmanager
def served(app: object) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, threaded=True)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def site(valkey: RunningValkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    schema = load_schema(DEFAULT_SCHEMA)
    gateway = MemoryGateway(review_all, workers=[serving("score-1")])
    with running_issuer(make_signer("ec-1", "ES256")) as issuer:
        issuer.claims = {"scope": "tollgate:read"}
        settings = Settings(
            data_dir=tmp_path_factory.mktemp("data"),
            redis_url=valkey.url,
            auth="required",
            oidc_issuer=issuer.url,
            oidc_audience=AUDIENCE,
            oidc_client_id="tollgate-console",
        )
        access = make_access(settings, MemoryKeys(), WebMetrics(), kept=RedisSessionStore(settings))
        with served(build_app(settings, gateway, schema, compile_validator(schema), access=access)) as port:
            yield Site(f"http://localhost:{port}", access, gateway, issuer)


def sign_in(page: Page, key: str) -> None:
    """As somebody without a mouse does: the field has the focus."""
    expect(page.get_by_label("Your API key")).to_be_focused()
    page.keyboard.insert_text(key)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("look", LOOKS)
def test_the_login_can_be_used_by_everyone(browser: Browser, site: Site, look: str) -> None:
    size, scheme = LOOKS[look]
    with opened_page(browser, site.url, size=size, color_scheme=scheme, may_fail="401") as page:
        page.goto(f"{site.url}/console/reviews")
        take_screenshot(page, f"console-login-{look}")
        sign_in(page, "a key that was never made")
        expect(page.get_by_role("alert")).to_contain_text("not known here")
        found = accessibility_problems(page)
        sign_in(page, site.key("ana", "read", "review"))
        page.wait_for_url("**/console/reviews")
        expect(page.get_by_text("Signed in as key:ana")).to_be_visible()
        found += accessibility_problems(page)
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            found.append("wider than its window")

    assert found == []


def test_a_reviewer_labels_in_their_own_name_and_promotes_nothing(browser: Browser, site: Site) -> None:
    decision_id = site.decide()
    with opened_page(browser, site.url, may_fail="403") as page:
        page.goto(f"{site.url}/console/reviews")
        planted = {"name": COOKIE, "value": "ab" * 32, "url": site.url}
        page.context.add_cookies([planted])
        sign_in(page, site.key("rhea", "read", "review"))
        page.locator("#cases [aria-current=true]").wait_for()
        page.keyboard.press("f")
        expect(page.locator("[data-pending]")).to_contain_text("fraud")
        page.goto(f"{site.url}/console/models")
        expect(page.get_by_role("button", name="Promote")).to_have_count(0)
        expect(page.get_by_role("button", name="Retrain")).to_have_count(0)
        status = page.evaluate(
            """async () => (await fetch("/console/models/m1/promote", {method: "POST",
                headers: {"X-Tollgate-Token": document.querySelector("meta[name=tollgate-token]").content}})).status"""
        )
        page.goto(f"{site.url}/console/decisions/{decision_id}")
        expect(page.locator("section[aria-labelledby=labels-title]")).to_contain_text("key:rhea")
        [cookie] = [one for one in page.context.cookies() if one["name"] == COOKIE]

    assert status == 403
    assert cookie["value"] != planted["value"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["expires"]) == (True, "Lax", "/", -1)
    [(label, _)] = [one for one in site.gateway.labels if one[0].decision_id == decision_id]
    assert label.client == "key:rhea"


def test_who_signs_out_is_out_also_in_a_page_that_is_still_open(browser: Browser, site: Site) -> None:
    with opened_page(browser, site.url, may_fail="401") as page:
        page.goto(f"{site.url}/console")
        sign_in(page, site.key("ana", "read"))
        page.locator('[data-live="on"]').first.wait_for()
        other = page.context.new_page()
        other.goto(f"{site.url}/console/models")
        other.get_by_role("button", name="Sign out").click()
        other.wait_for_url("**/console/login")

        expect(page.locator('[data-live="out"]').first).to_have_text(re.compile("Signed out"), timeout=LIMIT_MS)
        page.get_by_role("link", name="Sign in again").click()
        page.wait_for_url("**/console/login?next=*")


def test_somebody_comes_back_from_the_issuer_signed_in(browser: Browser, site: Site) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/console/decisions")

    page.get_by_role("link", name="Sign in with your organization").click()

    page.wait_for_url(f"{site.url}/console/decisions")
    expect(page.get_by_text("Signed in as token:ana")).to_be_visible()
    context.close()


def test_another_site_changes_nothing_with_somebodys_session(browser: Browser, site: Site) -> None:
    decision_id = site.decide()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/console")
    sign_in(page, site.key("ana", "read", "review"))
    page.wait_for_url("**/console")
    label = f"{site.url}/console/reviews/{decision_id}/label"
    page.route(f"{EVIL}/", lambda route: route.fulfill(body=ATTACK.format(action=label), content_type="text/html"))

    page.goto(f"{EVIL}/")
    page.wait_for_url(re.compile(re.escape(site.url)))

    assert [one for one in site.gateway.labels if one[0].decision_id == decision_id] == []
    page.goto(f"{site.url}/console")
    expect(page.get_by_text("Signed in as key:ana")).to_be_visible()
    context.close()
