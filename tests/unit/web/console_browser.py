"""A browser with a visit of the console behind it, as unit tests need one."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from tests.web_app import JSON, PAYMENT
from web.console.visitor import COOKIE, TOKEN_HEADER, Visitor

SECRET = "ab" * 16
ELSEWHERE = "cd" * 16
"""Another browser's."""


def visit(app: Flask, secret: str = SECRET) -> FlaskClient:
    """A client that carries the visitor's cookie."""
    client = app.test_client()
    client.set_cookie(COOKIE, secret, path="/console")
    return client


def change(client: FlaskClient, path: str, *, secret: str = SECRET, **more: Any) -> Any:
    """POST as a page's script does."""
    return client.post(path, headers={TOKEN_HEADER: Visitor(secret).token, "Accept": JSON}, **more)


def text_of(response: Any) -> str:
    """The page."""
    assert (response.status_code, response.mimetype) == (200, "text/html"), response.data
    return str(response.text)


def decide(client: FlaskClient, **changed: Any) -> str:
    """Send a payment; the id of its decision."""
    decision_id: str = client.post("/predict", json={**PAYMENT, **changed}).json["decision_id"]
    return decision_id
