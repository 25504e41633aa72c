"""Every route that the document says takes a body bounds its size and, where it is JSON, its depth; forms as well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.schema.load import load_schema
from config.schema.model import Schema
from config.schema.validate import Validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.unit.web.console_browser import SECRET, visit
from tests.web_app import JSON, assert_problem, build_app, decide_by_amount, serving
from web.console.visitor import TOKEN_FIELD, TOKEN_HEADER, Visitor
from web.memory_gateway import MemoryGateway
from web.openapi import build_document

LIMIT = 65_536
FORM = "application/x-www-form-urlencoded"
DEEP = b'{"a":' * 401 + b"1" + b"}" * 401


def takes_a_body() -> Iterator[tuple[str, str, str]]:
    """Path, method and type of every body that the document knows."""
    for path, methods in build_document(load_schema(DEFAULT_SCHEMA))["paths"].items():
        for method, operation in methods.items():
            for content_type in operation.get("requestBody", {}).get("content", ()):
                if path != "/console/login":  # where nobody asks for keys, it reads nothing: see test_sign_in.py
                    yield path, method.upper(), content_type


BODIES = [*takes_a_body()]
JSON_BODIES = [(path, method) for path, method, content_type in BODIES if content_type == JSON and path != "/batches"]


@pytest.fixture(scope="module")
def browser(schema: Schema, validator: Validator, tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"), bulk_max_bytes=LIMIT, feedback_max_bytes=LIMIT, max_body_bytes=LIMIT
    )
    gateway = MemoryGateway(decide_by_amount, workers=[serving("score-1")])
    return visit(build_app(settings, gateway, schema, validator))


def send(browser: Any, path: str, method: str, content_type: str, body: bytes, **more: Any) -> Any:
    filled = re.sub(r"{\w+}", "x", path)
    headers = {TOKEN_HEADER: Visitor(SECRET).token, "Accept": JSON}
    return browser.open(filled, method=method, data=body, content_type=content_type, headers=headers, **more)


def test_the_document_knows_the_bodies_of_payments_labels_and_batches() -> None:
    assert {"/predict", "/feedback", "/batches"} <= {path for path, _, _ in BODIES}
    assert len(JSON_BODIES) >= 3


@pytest.mark.parametrize(("path", "method", "content_type"), BODIES)
def test_a_body_over_its_limit_is_a_413(browser: Any, path: str, method: str, content_type: str) -> None:
    response = send(browser, path, method, content_type, b" " * (LIMIT + 1))

    assert_problem(response, 413, "body_too_large")


@pytest.mark.parametrize(("path", "method"), JSON_BODIES)
def test_json_that_is_nested_too_deep_is_a_422(browser: Any, path: str, method: str) -> None:
    response = send(browser, path, method, JSON, DEEP)

    assert (response.status_code, response.json["code"]) in [(422, "malformed_body"), (422, "invalid_request")]


@pytest.mark.parametrize(("path", "method"), JSON_BODIES)
def test_json_that_is_not_utf_8_is_a_422(browser: Any, path: str, method: str) -> None:
    """In a value that the route knows and in one that it does not."""
    for body in (b'{"name": "\x9f"}', b'{"\xff": 1}'):
        assert_problem(send(browser, path, method, JSON, body), 422, "malformed_body")


def test_a_form_of_the_console_over_the_limit_is_a_413(browser: Any) -> None:
    body = f"{TOKEN_FIELD}={'a' * LIMIT}"
    response = browser.post("/console/models/rollback", data=body, content_type=FORM, headers={"Accept": JSON})

    assert_problem(response, 413, "body_too_large")


def test_more_rows_than_a_batch_may_have_are_refused_on_their_way_in(
    schema: Schema, validator: Validator, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, bulk_max_rows=10)
    client = build_app(settings, MemoryGateway(decide_by_amount), schema, validator).test_client()

    response = client.post("/batches", data=b"{}\n" * 11, content_type="application/x-ndjson")

    assert_problem(response, 413, "too_many_rows")
