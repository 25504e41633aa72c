"""A span for every request, named for its route; none for what machines ask for all the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.traced import RecordedSpans, recorded_spans

ASKED = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@pytest.fixture
def client(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app().test_client()


@pytest.fixture
def spans() -> Iterator[RecordedSpans]:
    with recorded_spans() as recorded:
        yield recorded


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/feedback", "POST /feedback"),
        ("GET", "/predictions/t-1", "GET /predictions/{transaction_id}"),
        ("GET", "/decisions?limit=1", "GET /decisions"),
        ("GET", "/nothing/here", "GET unmatched"),
    ],
)
def test_a_request_is_a_span_that_is_named_for_its_route(
    client: FlaskClient, spans: RecordedSpans, method: str, path: str, name: str
) -> None:
    client.open(path, method=method, headers=ASKED)

    [span] = spans.finished()
    assert span.name == name
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" in ASKED["traceparent"]


@pytest.mark.parametrize("path", ["/health", "/health/live", "/prometheus", "/static/tollgate.css"])
def test_what_is_asked_for_every_few_seconds_is_no_span(client: FlaskClient, spans: RecordedSpans, path: str) -> None:
    spans.trace_everything()

    client.get(path).close()

    assert spans.finished() == []


def test_a_request_that_nobody_follows_makes_no_span(client: FlaskClient, spans: RecordedSpans) -> None:
    client.get("/decisions")

    assert spans.finished() == []
