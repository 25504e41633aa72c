"""Everything wrong that a client can send: always a problem document, the field named, nothing logged as a crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.web_app import JSON, PAYMENT, assert_problem


@pytest.fixture(autouse=True)
def _nothing_is_logged_as_a_crash(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    logged = capsys.readouterr()
    assert "crashed" not in logged.out + logged.err
    assert "Traceback" not in logged.out + logged.err


def raw(**changed: str) -> bytes:
    """The payment as JSON text; `changed` replaces values by raw JSON text, which need not be valid."""
    members = {name: json.dumps(value) for name, value in PAYMENT.items()} | changed
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in members.items()) + "}").encode()


@pytest.mark.parametrize("path", ["/predict", "/feedback?actual_label=true"])
@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("amount", '"1500"'),
        ("amount", "true"),
        ("amount", "null"),
        ("amount", "[1]"),
        ("amount", "NaN"),
        ("amount", "Infinity"),
        ("amount", "-Infinity"),
        ("amount", "1e999"),
        ("amount", "-0.01"),
        ("amount", "9" * 5000),
        ("hour", "24"),
        ("hour", "-1"),
        ("hour", "3.5"),
        ("hour", '"3"'),
        ("day_of_week", "7"),
        ("time_since_last", "-1"),
        ("previous_amount", "false"),
        ("merchant_category", "5"),
        ("merchant_category", json.dumps("x" * 65)),
        ("surprise", "1"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_field(client: FlaskClient, path: str, field: str, text: str) -> None:
    response = client.post(path, data=raw(**{field: text}), content_type=JSON)

    document = assert_problem(response, 422, "invalid_transaction")
    assert [error["pointer"] for error in document["errors"]] == [f"/{field}"]
    assert all(error["code"] and error["message"] for error in document["errors"])


def test_every_mistake_is_named_at_once(client: FlaskClient) -> None:
    body = raw(amount='"x"', hour="99", surprise="1", merchant_category="null")

    document = assert_problem(client.post("/predict", data=body, content_type=JSON), 422, "invalid_transaction")

    named = {error["pointer"] for error in document["errors"]}
    assert named == {"/amount", "/hour", "/surprise", "/merchant_category"}


@pytest.mark.parametrize("field", list(PAYMENT))
def test_a_missing_field_is_named(client: FlaskClient, field: str) -> None:
    body = {name: value for name, value in PAYMENT.items() if name != field}

    document = assert_problem(client.post("/predict", json=body), 422, "invalid_transaction")

    assert f"/{field}" in [error["pointer"] for error in document["errors"]]


def test_a_key_given_twice_is_refused(client: FlaskClient) -> None:
    body = raw()[:-1] + b', "amount": 1}'

    document = assert_problem(client.post("/predict", data=body, content_type=JSON), 422, "invalid_transaction")

    assert [error["pointer"] for error in document["errors"]] == ["/amount"]


@pytest.mark.parametrize("path", ["/predict", "/feedback?actual_label=true", "/feedback"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b"nonsense",
        b"null",
        b"[]",
        b"1",
        b'"text"',
        b"\xff\xfe",
        b'{"amount": "\xff"}',
        b"[" * 100 + b"]" * 100,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 60_000,
        raw() + b"{}",
        b"\x00",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_body_that_is_no_transaction_is_a_problem(client: FlaskClient, path: str, body: bytes) -> None:
    response = client.post(path, data=body, content_type=JSON)

    assert response.status_code == 422
    assert response.json["code"] in ("malformed_body", "invalid_transaction", "invalid_request")
    assert_problem(response, 422, response.json["code"])


@pytest.mark.parametrize("path", ["/predict", "/feedback"])
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/json; charset=latin-1",
        "text/json",
        "*/*",
        "; charset=utf-8",
    ],
)
def test_another_content_type_is_a_415(client: FlaskClient, path: str, content_type: str | None) -> None:
    response = client.post(path, data=raw(), content_type=content_type)

    document = assert_problem(response, 415, "unsupported_media_type")
    assert "application/json" in document["detail"] or "utf-8" in document["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/vnd.bank.payment+json",
        "application/json; profile=x",
    ],
)
def test_every_way_to_say_json_is_read(client: FlaskClient, content_type: str) -> None:
    assert client.post("/predict", data=raw(), content_type=content_type).status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/feedback", "/feedback?actual_label=true"])
def test_a_body_of_two_megabytes_is_a_413(client: FlaskClient, path: str) -> None:
    assert_problem(client.post(path, data=b" " * 2_000_000, content_type=JSON), 413, "body_too_large")


def test_a_body_at_the_limit_is_read(client: FlaskClient) -> None:
    padded = raw() + b" " * (65_536 - len(raw()))

    assert client.post("/predict", data=padded, content_type=JSON).status_code == 200
    assert_problem(client.post("/predict", data=padded + b" ", content_type=JSON), 413, "body_too_large")


@pytest.mark.parametrize("declared", ["-1", "abc", "1e3", "+10", "١٢", "0x10"])
def test_a_content_length_that_is_no_number_is_refused(client: FlaskClient, declared: str) -> None:
    response = client.post("/predict", data=raw(), content_type=JSON, environ_overrides={"CONTENT_LENGTH": declared})

    assert_problem(response, 422, "malformed_body")


def test_a_body_that_ends_early_is_refused(client: FlaskClient) -> None:
    longer = {"CONTENT_LENGTH": str(len(raw()) + 10)}

    response = client.post("/predict", data=raw(), content_type=JSON, environ_overrides=longer)

    document = assert_problem(response, 422, "malformed_body")
    assert str(len(raw())) in document["detail"]


def test_a_chunked_body_is_read_to_its_end_and_no_further(client: FlaskClient) -> None:
    chunked = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}

    def post(body: bytes) -> Any:
        return client.post("/predict", data=body, content_type=JSON, environ_overrides=chunked)

    assert post(raw()).status_code == 200
    assert_problem(post(b" " * 70_000), 413, "body_too_large")


def test_a_field_name_with_a_slash_is_escaped_in_its_pointer(client: FlaskClient) -> None:
    body = raw()[:-1] + b', "a/b~c": 1}'

    document = assert_problem(client.post("/predict", data=body, content_type=JSON), 422, "invalid_transaction")

    assert [error["pointer"] for error in document["errors"]] == ["/a~1b~0c"]


def test_a_lone_surrogate_cannot_break_the_answer(client: FlaskClient) -> None:
    body = raw()[:-1] + b', "\\ud800": "\\udfff"}'

    assert_problem(client.post("/predict", data=body, content_type=JSON), 422, "invalid_transaction")


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("POST", "//predict"), ("GET", "/predict/")])
def test_an_unknown_route_is_a_problem(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(path, method=method)

    assert response.mimetype == "application/problem+json"
    assert response.status_code in (404, 405)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", "POST"),
        ("DELETE", "/predict", "POST"),
        ("PUT", "/feedback", "POST"),
        ("POST", "/health", "GET"),
        ("GET", "/reload-model", "POST"),
        ("PATCH", "/predictions/x", "GET"),
    ],
)
def test_a_wrong_method_names_the_right_ones(client: FlaskClient, method: str, path: str, allowed: str) -> None:
    response = client.open(path, method=method)

    assert_problem(response, 405, "method_not_allowed")
    assert allowed in response.headers["Allow"].split(", ")


@pytest.mark.parametrize("path", ["/", "/health/live", "/metrics", "/prometheus", "/docs", "/openapi.json"])
def test_head_and_options_are_answered(client: FlaskClient, path: str) -> None:
    assert client.head(path).status_code == 200
    assert client.head(path).data == b""
    assert "GET" in client.options(path).headers["Allow"]


def test_options_of_predict_says_post(client: FlaskClient) -> None:
    assert "POST" in client.options("/predict").headers["Allow"]


def test_an_unknown_method_is_a_problem(client: FlaskClient) -> None:
    response: Callable[..., Any] | Any = client.open("/predict", method="BREW")

    assert_problem(response, 405, "method_not_allowed")
