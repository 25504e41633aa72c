"""The web side around a gateway in memory: no socket, no queue, a scoring function of the test's choice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.schema.load import load_schema
from config.schema.model import Schema
from config.schema.validate import Validator, compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.web_app import JSON, PAYMENT, build_app, decide_by_amount, serving
from web.memory_gateway import MemoryGateway


@pytest.fixture(scope="session")
def schema() -> Schema:
    return load_schema(DEFAULT_SCHEMA)


@pytest.fixture(scope="session")
def validator(schema: Schema) -> Validator:
    return compile_validator(schema)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, max_wait_s=5, metrics_cache_s=0)


@pytest.fixture(scope="session")
def shared_gateway() -> MemoryGateway:
    return MemoryGateway(decide_by_amount)


@pytest.fixture(scope="session")
def shared_app(
    shared_gateway: MemoryGateway,
    schema: Schema,
    validator: Validator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Flask:
    """One app for the session: building one takes 15 ms."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), max_wait_s=5, metrics_cache_s=0)
    return build_app(settings, shared_gateway, schema, validator)


@pytest.fixture
def gateway(shared_gateway: MemoryGateway) -> MemoryGateway:
    """The shared app's gateway, as new, with two workers that serve model m1."""
    workers = [serving("score-1"), serving("score-2")]
    MemoryGateway.__init__(shared_gateway, decide_by_amount, workers=workers)
    return shared_gateway


@pytest.fixture
def make_app(settings: Settings, gateway: MemoryGateway, schema: Schema, validator: Validator) -> Callable[..., Flask]:
    """An app of the test's own; keyword arguments replace settings."""
    return lambda **changed: build_app(settings.model_copy(update=changed), gateway, schema, validator)


@pytest.fixture
def app(shared_app: Flask, gateway: MemoryGateway) -> Flask:
    return shared_app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def predict(client: FlaskClient) -> Callable[..., Any]:
    """POST /predict with a payment, changed by keyword arguments; `headers`, `query` go with the request."""

    def post(*, headers: dict[str, str] | None = None, query: str = "", **changed: Any) -> Any:
        body = json.dumps({**PAYMENT, **changed})
        return client.post(f"/predict{query}", data=body, content_type=JSON, headers=headers)

    return post
