"""Where sessions are kept: one contract for Redis and the memory that unit tests use, and a broker that is gone."""

from __future__ import annotations

import pytest
from redis import Redis

from config.errors import AuthUnavailable
from config.names import session_key
from config.settings import Settings
from tests.servers import free_port
from web.auth.memory_sessions import MemorySessions
from web.auth.session_store import RedisSessionStore, SessionStore

KEY = session_key("1")


@pytest.fixture(params=["redis", "memory"])
def store(request: pytest.FixtureRequest, redis_client: Redis, redis_url: str) -> SessionStore:
    return MemorySessions() if request.param == "memory" else RedisSessionStore(Settings(redis_url=redis_url))


def test_what_is_kept_is_found_until_it_is_taken_once(store: SessionStore) -> None:
    assert store.find(KEY, for_s=60) is None
    store.keep(KEY, b"ana", for_s=60)

    assert [store.find(KEY, for_s=60), store.find(KEY, for_s=60)] == [b"ana", b"ana"]
    assert [store.take(KEY), store.take(KEY), store.find(KEY, for_s=60)] == [b"ana", None, None]


def test_what_is_kept_ends_by_itself_and_who_asks_makes_it_last(redis_client: Redis, redis_url: str) -> None:
    store = RedisSessionStore(Settings(redis_url=redis_url))
    store.keep(KEY, b"ana", for_s=5)
    assert 0 < redis_client.ttl(KEY) <= 5

    store.find(KEY, for_s=600)

    assert 590 < redis_client.ttl(KEY) <= 600


def test_without_a_broker_nobody_is_recognised_and_the_second_to_ask_does_not_wait() -> None:
    store = RedisSessionStore(Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0", breaker_reset_s=60))
    for _ in range(2):
        with pytest.raises(AuthUnavailable, match="does not answer"):
            store.find(KEY, for_s=60)
    with pytest.raises(AuthUnavailable):
        store.keep(KEY, b"ana", for_s=60)
