"""A browser that signs in to the console, as unit tests need one."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from tests.web_app import JSON
from web.console.visitor import TOKEN_HEADER

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HTTP = "http://console.example"
HTTPS = "https://console.example"
_TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')


def sign_in(app: Flask, key: str, *, base_url: str = "http://localhost", next_path: str = "") -> FlaskClient:
    """A browser in which a key was typed into the form."""
    client = app.test_client()
    response = submit_key(client, key, base_url=base_url, next_path=next_path)
    assert response.status_code == 303, response.text
    return client


def submit_key(
    client: FlaskClient, key: str, *, base_url: str = "http://localhost", next_path: str = "", **more: Any
) -> Any:
    """Open the form and send it."""
    form = client.get("/console/login", base_url=base_url, headers=HTML)
    data = {"token": token_in(form), "key": key, "next": next_path}
    return client.post("/console/login", data=data, base_url=base_url, headers=HTML, **more)


def token_in(page: Any) -> str:
    """The token that a page's forms carry."""
    found = _TOKEN.search(page.text)
    assert found, page.text
    return found[1]


def ask(client: FlaskClient, path: str, **more: Any) -> Any:
    """POST as a script of the overview or models page does."""
    page = next(
        page
        for page in (client.get(p, headers=HTML) for p in ("/console", "/console/models"))
        if page.status_code == 200
    )
    return client.post(path, headers={TOKEN_HEADER: token_in(page), "Accept": JSON}, **more)
