"""Sessions by themselves: their two lifetimes, and what they hang on."""

from __future__ import annotations

import pytest

from config.errors import Unauthenticated
from config.settings import Settings
from tests.unit.web.auth.conftest import ADMIN_KEY
from web.auth.keys import KeyRing, given_keys
from web.auth.memory_keys import MemoryKeys
from web.auth.memory_sessions import MemorySessions
from web.auth.principal import Principal
from web.auth.sessions import Sessions

IDLE_S, LIFETIME_S = 600, 3600
ANA = Principal("token:ana", "acme", frozenset({"read"}), credential="token:1")


class Clock:
    """Seconds, moved by a test."""

    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemorySessions:
    return MemorySessions(clock)


def make(store: MemorySessions, clock: Clock, **changed: str) -> Sessions:
    usual = {"admin_key": ADMIN_KEY, "oidc_issuer": "https://issuer", "oidc_audience": "tollgate"}
    settings = Settings(session_idle_s=IDLE_S, session_lifetime_s=LIFETIME_S, **{**usual, **changed})
    return Sessions(settings, store, KeyRing(MemoryKeys(), is_local=True, given=given_keys(settings)), clock=clock)


def test_a_session_goes_on_while_it_is_used_and_ends_when_it_is_not(store: MemorySessions, clock: Clock) -> None:
    sessions = make(store, clock)
    secret = sessions.begin_with_key(ADMIN_KEY).secret
    for _ in range(3):
        clock.now_s += IDLE_S - 1
        assert sessions.find(secret) is not None

    clock.now_s += IDLE_S

    assert sessions.find(secret) is None


def test_a_session_ends_however_much_it_is_used(store: MemorySessions, clock: Clock) -> None:
    sessions = make(store, clock)
    secret = sessions.begin_with_key(ADMIN_KEY).secret
    began_s = clock.now_s
    while sessions.find(secret) is not None:
        clock.now_s += 60

    assert clock.now_s - began_s == LIFETIME_S
    assert store.kept == {}


def test_whom_the_issuer_recognised_keeps_what_it_said(store: MemorySessions, clock: Clock) -> None:
    sessions = make(store, clock)

    secret = sessions.begin_with_issuer(ANA).secret

    assert sessions.find(secret) == ANA


def test_a_session_ends_with_the_admin_key_or_the_issuer_that_it_hangs_on(store: MemorySessions, clock: Clock) -> None:
    sessions = make(store, clock)
    by_key, by_issuer = sessions.begin_with_key(ADMIN_KEY), sessions.begin_with_issuer(ANA)

    changed = make(store, clock, admin_key=ADMIN_KEY[::-1], oidc_issuer="https://another")

    for signed_in in (by_key, by_issuer):
        with pytest.raises(Unauthenticated):
            changed.find(signed_in.secret)
        assert sessions.find(signed_in.secret) is None, "it does not come back"


def test_a_key_that_holds_nothing_begins_nothing(store: MemorySessions, clock: Clock) -> None:
    with pytest.raises(Unauthenticated):
        make(store, clock).begin_with_key("nonsense")
    assert store.kept == {}
