"""What integration tests share beyond servers: a bench for batches, the inbox and its reaper, a ledger in a file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from config.queue.inbox import Inbox
from config.schema.load import load_schema
from config.setting_groups.places import DEFAULT_SCHEMA
from ml.ledger import Ledger
from tests.bulk_bench import Bench
from tests.inbox_work import SETTINGS, app
from workers.inbox import Reaper


@pytest.fixture
def bench(redis_url: str, redis_client: Redis, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(redis_url, redis_client, tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def inbox(redis_client: Redis) -> Inbox:
    return Inbox(redis_client, SETTINGS, rng=random.Random(1))


@pytest.fixture
def reaper(redis_client: Redis) -> Reaper:
    return Reaper(redis_client, app(), SETTINGS)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Of the default schema, with its tables and nothing in them."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=load_schema(DEFAULT_SCHEMA))
    ledger.migrate()
    yield ledger
    ledger.close()
