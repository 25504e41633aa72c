"""A web side that other machines reach starts only where they are asked who they are, and can answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.errors import LedgerUnavailable, SettingInvalid
from config.settings import Settings
from ml.ledger.key_book import StoredKey
from web.auth.exposure import require_credentials, stored_keys
from web.auth.key_desk import KeyDesk, KeyWish
from web.auth.memory_keys import MemoryKeys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OUTSIDE = {"host": "0.0.0.0", "auth": "required"}


def keys(**changed: Any) -> MemoryKeys:
    store = MemoryKeys()
    wish = KeyWish(**{"name": "shop", "scopes": ("score",), **changed})
    KeyDesk(store).create(wish, actor="test", now=NOW - timedelta(days=1))
    return store


def unread() -> list[StoredKey]:
    pytest.fail("the table was read where it says nothing")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_on_loopback_nothing_is_needed(host: str) -> None:
    require_credentials(Settings(host=host), unread, NOW)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "web.example", ""])
def test_elsewhere_an_open_stack_does_not_start(host: str) -> None:
    for read in (keys().all, unread):
        with pytest.raises(SettingInvalid, match="TOLLGATE_AUTH=required"):
            require_credentials(Settings(host=host, admin_key="a" * 32), read, NOW)


@pytest.mark.parametrize(
    "store",
    [MemoryKeys(), keys(kind="development"), keys(lifetime=timedelta(hours=1))],
    ids=["none", "development", "expired"],
)
def test_elsewhere_a_stack_that_nobody_could_enter_does_not_start(store: MemoryKeys) -> None:
    with pytest.raises(SettingInvalid, match="TOLLGATE_ADMIN_KEY"):
        require_credentials(Settings(**OUTSIDE), store.all, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "store"),
    [
        ({"admin_key": "a" * 32}, MemoryKeys()),
        ({"oidc_issuer": "https://issuer.example"}, MemoryKeys()),
        ({}, keys()),
    ],
)
def test_one_real_credential_is_enough(given: dict[str, str], store: MemoryKeys) -> None:
    require_credentials(Settings(**OUTSIDE, **given), store.all, NOW)  # type: ignore[arg-type]


def test_a_metrics_key_alone_lets_nobody_in() -> None:
    with pytest.raises(SettingInvalid, match="nobody could come in"):
        require_credentials(Settings(**OUTSIDE, metrics_key="m" * 32), list, NOW)  # type: ignore[arg-type]


def test_a_table_that_cannot_be_read_is_told_apart_from_an_empty_one_and_stops_nothing() -> None:
    require_credentials(Settings(**OUTSIDE), lambda: None, NOW)  # type: ignore[arg-type]
    assert stored_keys(MemoryKeys()) == []
    assert stored_keys(MemoryKeys(failure=LedgerUnavailable("away"))) is None
