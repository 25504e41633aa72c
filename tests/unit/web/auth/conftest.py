"""An app that asks for credentials, and keys to show it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.schema.model import Schema
from config.schema.validate import Validator
from config.settings import Settings
from tests.web_app import build_app
from web.auth.access import Access, make_access
from web.auth.key_desk import KeyWish
from web.auth.memory_keys import MemoryKeys
from web.auth.memory_sessions import MemorySessions
from web.auth.principal import SCOPES, Scope
from web.memory_gateway import MemoryGateway
from web.metrics import WebMetrics

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADMIN_KEY = "a-key-of-this-test-with-32-characters"
MakeKey = Callable[..., str]


@pytest.fixture(scope="session")
def required(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        auth="required",
        admin_key=ADMIN_KEY,
        limits="off",  # every request of these tests comes from one address
        max_wait_s=5,
        metrics_cache_s=0,
    )


@pytest.fixture(scope="session")
def store() -> MemoryKeys:
    return MemoryKeys()


@pytest.fixture(scope="session")
def kept() -> MemorySessions:
    return MemorySessions()


@pytest.fixture(scope="session")
def access(required: Settings, store: MemoryKeys, kept: MemorySessions) -> Access:
    return make_access(required, store, WebMetrics(), kept=kept)


@pytest.fixture(scope="session")
def guarded(
    required: Settings, shared_gateway: MemoryGateway, schema: Schema, validator: Validator, access: Access
) -> Flask:
    """One app for the session."""
    return build_app(required, shared_gateway, schema, validator, access=access)


@pytest.fixture
def door(guarded: Flask, gateway: MemoryGateway) -> FlaskClient:
    """A client that shows nothing by itself."""
    return guarded.test_client()


@pytest.fixture
def make_key(access: Access) -> MakeKey:
    """Make a key that the app knows at once; returns its text."""

    def make(*scopes: Scope, tenant: str = "default", lifetime: timedelta | None = None, name: str = "shop") -> str:
        issued = access.desk.create(
            KeyWish(name, scopes or SCOPES, tenant, lifetime), actor="test", now=datetime.now(UTC)
        )
        access.refresh()
        return issued.text

    return make


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path
