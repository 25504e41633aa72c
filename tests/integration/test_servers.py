"""The servers that other tests stand on keep what was written and start empty for each test."""

from __future__ import annotations

import sqlalchemy
from redis import Redis

from tests.servers import running_valkey


def test_a_killed_valkey_finds_its_data_again() -> None:
    with running_valkey() as server:
        with Redis.from_url(server.url) as client:
            client.set("kept", "yes")
        server.kill()
        server.start()
        with Redis.from_url(server.url) as client:
            assert client.get("kept") == b"yes"


def test_each_test_finds_the_shared_valkey_empty(redis_client: Redis, redis_url: str) -> None:
    assert redis_client.dbsize() == 0
    assert redis_client.config_get("appendonly") == {"appendonly": "yes"}
    assert redis_client.config_get("appendfsync") == {"appendfsync": "always"}
    assert redis_url.startswith("redis://127.0.0.1:")


def test_a_test_gets_an_empty_postgres_database_of_its_own(postgres_database: str) -> None:
    engine = sqlalchemy.create_engine(postgres_database)
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE only_here (x int)"))
        assert sqlalchemy.inspect(engine).get_table_names() == ["only_here"]
    finally:
        engine.dispose()
