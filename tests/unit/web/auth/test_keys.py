"""The keys that a process accepts, and why it refuses others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from config.api_keys import digest_of, key_id_of, new_key
from config.errors import AuthUnavailable, InvalidRequest, LedgerUnavailable, SettingInvalid, Unauthenticated, UnknownId
from config.settings import Settings
from web.auth.key_desk import KeyDesk, KeyWish
from web.auth.keys import KeyRing, given_keys
from web.auth.memory_keys import MemoryKeys
from web.auth.principal import SCOPES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def store() -> MemoryKeys:
    return MemoryKeys()


@pytest.fixture
def desk(store: MemoryKeys) -> KeyDesk:
    return KeyDesk(store)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(store: MemoryKeys, clock: Clock) -> KeyRing:
    return KeyRing(store, is_local=True, clock=clock)


def wish(**changed: object) -> KeyWish:
    return KeyWish(**{"name": "shop", "scopes": ("score", "feedback"), **changed})  # type: ignore[arg-type]


def test_a_key_shows_its_id_and_is_stored_as_a_digest_only(desk: KeyDesk, store: MemoryKeys) -> None:
    issued = desk.create(wish(), actor="operator:ann", now=NOW)

    assert issued.text.startswith(f"tg_{issued.key.key_id}_")
    assert (len(issued.text), key_id_of(issued.text)) == (55, issued.key.key_id)
    assert issued.key.digest == digest_of(issued.text).hex()
    assert issued.text[12:] not in repr(store.all())
    assert new_key().text != new_key().text


def test_a_key_opens_what_its_scopes_say_in_its_tenant(desk: KeyDesk, ring: KeyRing) -> None:
    issued = desk.create(wish(tenant="acme"), actor="operator:ann", now=NOW)
    ring.refresh()

    found = ring.find(issued.text)

    assert (found.name, found.tenant, found.credential) == ("key:shop", "acme", issued.key.key_id)
    assert found.scopes == {"score", "feedback"}


def test_a_key_with_the_right_id_and_another_secret_is_unknown(desk: KeyDesk, ring: KeyRing) -> None:
    issued = desk.create(wish(), actor="operator:ann", now=NOW)
    desk.revoke(issued.key.key_id, actor="operator:ann", now=NOW)
    ring.refresh()
    forged = issued.text[:12] + new_key().text[12:]

    # Not even that the real one was revoked is told to who does not hold it.
    for text in (forged, new_key().text, "tg_", "x", "é" * 55):
        with pytest.raises(Unauthenticated, match="not known here"):
            ring.find(text)


def test_a_revoked_and_an_expired_key_are_refused_with_the_reason(desk: KeyDesk, ring: KeyRing, clock: Clock) -> None:
    revoked = desk.create(wish(), actor="operator:ann", now=NOW)
    short = desk.create(wish(lifetime=DAY), actor="operator:ann", now=NOW)
    desk.revoke(revoked.key.key_id, actor="operator:ann", now=NOW)
    ring.refresh()
    assert ring.find(short.text).name == "key:shop"

    clock.now = NOW + DAY

    with pytest.raises(Unauthenticated, match=rf"tg_{revoked.key.key_id} was revoked"):
        ring.find(revoked.text)
    with pytest.raises(Unauthenticated, match=r"expired at 2026-03-02T12:00:00\+00:00"):
        ring.find(short.text)


def test_after_a_rotation_both_keys_open_the_same_until_the_overlap_is_over(
    desk: KeyDesk, ring: KeyRing, clock: Clock
) -> None:
    old = desk.create(wish(lifetime=30 * DAY), actor="operator:ann", now=NOW)
    new = desk.rotate(old.key.key_id, overlap=DAY, actor="operator:bob", now=NOW)
    ring.refresh()

    # The credential stays: the client's idempotency keys and open batches are still its own.
    assert ring.find(old.text) == ring.find(new.text)
    assert (new.key.expires_at, new.key.created_by) == (NOW + 30 * DAY, "operator:bob")
    clock.now = NOW + DAY
    assert ring.find(new.text).name == "key:shop"
    with pytest.raises(Unauthenticated, match="expired"):
        ring.find(old.text)
    with pytest.raises(UnknownId, match="replaced by"):
        desk.rotate(old.key.key_id, overlap=DAY, actor="operator:bob", now=NOW)


def test_a_rotation_lets_no_key_live_longer_than_it_would_have(desk: KeyDesk, store: MemoryKeys) -> None:
    short = desk.create(wish(lifetime=timedelta(hours=1)), actor="operator:ann", now=NOW)

    desk.rotate(short.key.key_id, overlap=DAY, actor="operator:ann", now=NOW)

    assert store.keys[short.key.key_id].expires_at == NOW + timedelta(hours=1)


def test_with_the_database_away_the_last_table_stays_in_force(desk: KeyDesk, ring: KeyRing, store: MemoryKeys) -> None:
    issued = desk.create(wish(), actor="operator:ann", now=NOW)
    ring.refresh()
    store.failure = LedgerUnavailable("the database is away")

    with pytest.raises(LedgerUnavailable):
        ring.refresh()

    assert ring.find(issued.text).name == "key:shop"


def test_before_the_table_was_read_nobody_can_be_told_to_be_unknown(ring: KeyRing) -> None:
    with pytest.raises(AuthUnavailable):
        ring.find(new_key().text)


def test_a_development_key_counts_on_loopback_only(desk: KeyDesk, store: MemoryKeys, clock: Clock) -> None:
    issued = desk.create(wish(kind="development", scopes=SCOPES), actor="tollgate up", now=NOW)
    here, elsewhere = (KeyRing(store, is_local=is_local, clock=clock) for is_local in (True, False))
    here.refresh()
    elsewhere.refresh()

    assert here.find(issued.text).may("admin")
    with pytest.raises(Unauthenticated, match="development key"):
        elsewhere.find(issued.text)


def test_keys_of_the_settings_open_what_they_are_for(ring: KeyRing, tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "metrics-key"
    file.write_text("m" * 32 + "\n")
    settings = Settings(admin_key="a" * 32, metrics_key_file=str(file))
    with_given = KeyRing(MemoryKeys(), is_local=False, given=given_keys(settings))

    assert with_given.find("a" * 32).scopes == {"admin"}
    assert with_given.find("m" * 32).scopes == {"metrics"}
    assert "a" * 32 not in repr(settings)


@pytest.mark.parametrize("given", [{"admin_key": "short"}, {"admin_key_file": "/nowhere"}, {"metrics_key": "é" * 40}])
def test_a_key_of_the_settings_that_is_too_weak_or_not_there_stops_the_start(given: dict[str, str]) -> None:
    with pytest.raises(SettingInvalid, match=r"TOLLGATE_(ADMIN|METRICS)_KEY"):
        given_keys(Settings(**given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"name": " "}, "/name"),
        ({"name": "x" * 65}, "/name"),
        ({"scopes": ()}, "/scopes"),
        ({"tenant": "acme", "scopes": ("score", "admin")}, "/scopes"),
        ({"tenant": "acme", "scopes": ("operate",)}, "/scopes"),
        ({"tenant": "Acme:x"}, "/tenant"),
        ({"lifetime": timedelta(0)}, "/expires_in_s"),
    ],
)
def test_a_key_that_must_not_be_is_refused_by_field(changed: dict[str, object], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        wish(**changed)

    assert [one.pointer for one in refused.value.errors] == [pointer]


def test_a_table_is_read_when_it_has_changed_and_now_and_then_for_what_was_changed_by_hand(
    desk: KeyDesk, store: MemoryKeys, ring: KeyRing, clock: Clock
) -> None:
    first = desk.create(wish(), actor="operator:ann", now=NOW)
    ring.refresh()
    known = ring.find(first.text)
    store.keys[first.key.key_id] = msgspec.structs.replace(first.key, name="renamed")

    ring.refresh()
    assert ring.find(first.text) is known

    clock.now += timedelta(seconds=60)
    ring.refresh()
    assert ring.find(first.text).name == "key:renamed"


def test_a_row_that_was_written_by_hand_opens_no_more_than_its_tenant_may(desk: KeyDesk, store: MemoryKeys) -> None:
    issued = desk.create(wish(tenant="acme"), actor="operator:ann", now=NOW)
    by_hand = msgspec.structs.replace(issued.key, scopes=["score", "admin", "root"])
    ring = KeyRing(MemoryKeys({by_hand.key_id: by_hand}), is_local=True, clock=lambda: NOW.timestamp())
    ring.refresh()

    assert ring.find(issued.text).scopes == {"score"}
