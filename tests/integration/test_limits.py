"""Limits in a real Valkey with the rights of the access list: shared, gone with their window, open when it is down."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

import pytest
from flask import Flask
from redis import Redis

from config.names import limit_key
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from tests.servers import free_port
from tests.web_app import PAYMENT, build_app, decide_by_amount
from web.limits.store import RedisLimitStore
from web.memory_gateway import MemoryGateway

ACCESS_LIST = Path(__file__).parents[2] / "deploy" / "valkey" / "users.acl"


@pytest.fixture
def limited_url(redis_url: str, redis_client: Redis) -> Iterator[str]:
    """The broker as the user `web` of deploy/valkey/users.acl."""
    rules = re.search(r"^user web on #WEB_HASH (.*)$", ACCESS_LIST.read_text(), re.MULTILINE)
    assert rules is not None
    word = token_hex(8)
    redis_client.execute_command("ACL", "SETUSER", "web", "reset", "on", f">{word}", *rules[1].split())
    address = urlsplit(redis_url)
    yield address._replace(netloc=f"web:{word}@{address.hostname}:{address.port}").geturl()
    redis_client.execute_command("ACL", "DELUSER", "web")


def web_process(redis_url: str, **changed: object) -> Flask:
    """One web process whose requests are counted there."""
    settings = Settings.model_validate({"limits": "on", "redis_url": redis_url, **changed})
    schema = load_schema(DEFAULT_SCHEMA)
    gateway = MemoryGateway(decide_by_amount)
    return build_app(settings, gateway, schema, compile_validator(schema), limits=RedisLimitStore(settings))


def scored(app: Flask, times: int) -> int:
    statuses = [app.test_client().post("/predict", json=PAYMENT).status_code for _ in range(times)]
    return statuses.count(200)


def test_two_processes_share_the_budgets_with_the_rights_of_the_access_list(
    limited_url: str, redis_client: Redis
) -> None:
    first, second = (web_process(limited_url, limit_score="10/minute", limit_operations="3/minute") for _ in range(2))

    assert scored(first, 6) + scored(second, 6) == 10
    listed = [app.test_client().get("/models").status_code for app in (first, second, first, second)]
    assert listed == [200, 200, 200, 429]

    counters = redis_client.keys(limit_key("*"))
    assert len(counters) == 3, "two budgets of the client, one of the address"
    assert all(0 < redis_client.pttl(counter) <= 60_000 for counter in counters)


def test_a_window_ends_by_the_servers_clock(limited_url: str) -> None:
    app = web_process(limited_url, limit_score="2/second")
    assert scored(app, 3) == 2

    deadline = time.monotonic() + 10
    while scored(app, 1) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_the_broker_requests_are_let_through_at_once(tmp_path: Path) -> None:
    app = web_process(f"redis://127.0.0.1:{free_port()}/0", limit_score="1/minute", data_dir=tmp_path)

    assert scored(app, 50) == 50
    assert app.test_client().get("/models").status_code == 200
