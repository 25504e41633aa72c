"""The pages in a real Chromium: they work, and they ask no outside host for anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from playwright.sync_api import Browser, Page

from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.e2e.browser import opened_page
from tests.web_app import build_app, decide_by_amount, serving
from web.memory_gateway import MemoryGateway
from web.openapi_paths.security import SCHEMES

pytestmark = pytest.mark.slow


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """The test's output stays readable."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    schema = load_schema(DEFAULT_SCHEMA)
    gateway = MemoryGateway(decide_by_amount, workers=[serving("score-1")])
    settings = Settings(model_dir=tmp_path_factory.mktemp("models"))
    app = build_app(settings, gateway, schema, compile_validator(schema))
    server = make_server("127.0.0.1", 0, app, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page that fails the test when it asks another host or logs an error."""
    with opened_page(browser, address) as opened:
        yield opened


def test_the_api_page_shows_every_operation_and_needs_no_outside_host(page: Page, address: str) -> None:
    answered = page.goto(f"{address}/docs")

    assert answered is not None
    assert (answered.status, answered.request.redirected_from) == (200, None)
    page.wait_for_selector(".opblock")
    assert page.locator(".opblock").count() == len(
        [1 for methods in page.request.get(f"{address}/openapi.json").json()["paths"].values() for _ in methods]
    )
    assert "Tollgate" in page.inner_text(".info")
    page.click(".auth-wrapper .authorize")
    assert page.locator(".auth-container").count() == len(SCHEMES)


def test_a_payment_can_be_scored_from_the_api_page(page: Page, address: str) -> None:
    page.goto(f"{address}/docs")
    page.locator("#operations-scoring-predict .opblock-summary-control").click()
    page.locator("#operations-scoring-predict button.execute").click()

    answer = page.locator("#operations-scoring-predict .live-responses-table tbody")
    answer.wait_for()
    assert answer.locator(".response-col_status").first.inner_text().startswith("200")
    assert "fraud_probability" in answer.inner_text()


@pytest.mark.parametrize("path", ["/", "/metrics", "/problems/overloaded"])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_page_fits_its_window(page: Page, address: str, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{address}{path}")

    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
