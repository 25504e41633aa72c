"""What every database must do with API keys: keep what may be known of them, and an entry of the trail per change."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from config.errors import UnknownId
from ml.ledger import Ledger
from ml.ledger.key_book import StoredKey
from tests.ledger_audit_contract import verified
from tests.ledger_entries import NOON

DAY = timedelta(days=1)


def key(key_id: str, **changed: object) -> StoredKey:
    first = StoredKey(
        key_id=key_id,
        digest="d" * 64,
        kind="issued",
        name="shop",
        tenant="default",
        scopes=["score", "feedback"],
        family=key_id,
        created_at=NOON,
        created_by="operator:ann",
    )
    return msgspec.structs.replace(first, **changed)


class KeyContract:
    """`Ledger.keys`."""

    def test_a_key_comes_back_as_it_was_added(self, ledger: Ledger) -> None:
        keys = [key("aaaaaaaa"), key("bbbbbbbb", created_at=NOON + DAY, expires_at=NOON + 30 * DAY)]
        for one in reversed(keys):
            ledger.keys.add(one)
        assert ledger.keys.all() == keys

    def test_every_change_is_counted(self, ledger: Ledger) -> None:
        counted = [ledger.keys.changes()]
        for change in (
            lambda: ledger.keys.add(key("aaaaaaaa")),
            lambda: ledger.keys.replace("aaaaaaaa", key("bbbbbbbb"), expires_at=NOON + DAY),
            lambda: ledger.keys.revoke("aaaaaaaa", actor="operator:bob", now=NOON),
        ):
            change()
            counted.append(ledger.keys.changes())
        assert counted == sorted(set(counted))

    def test_a_replaced_key_ends_after_its_overlap_and_only_once(self, ledger: Ledger) -> None:
        ledger.keys.add(key("aaaaaaaa", expires_at=NOON + 30 * DAY))
        successor = key("bbbbbbbb", family="aaaaaaaa", created_at=NOON + DAY)
        ledger.keys.replace("aaaaaaaa", successor, expires_at=NOON + 2 * DAY)
        old, new = ledger.keys.all()
        assert (old.replaced_by, old.expires_at, new) == ("bbbbbbbb", NOON + 2 * DAY, successor)
        with pytest.raises(UnknownId, match="replaced by 'bbbbbbbb' already"):
            ledger.keys.replace("aaaaaaaa", key("cccccccc", created_at=NOON + DAY), expires_at=NOON + 2 * DAY)

    def test_what_is_not_in_force_cannot_be_revoked_or_replaced(self, ledger: Ledger) -> None:
        ledger.keys.add(key("aaaaaaaa"))
        ledger.keys.add(key("bbbbbbbb", expires_at=NOON + DAY))
        ledger.keys.revoke("aaaaaaaa", actor="operator:bob", now=NOON)
        for gone in ("aaaaaaaa", "bbbbbbbb", "nobody"):
            with pytest.raises(UnknownId, match="no key in force"):
                ledger.keys.revoke(gone, actor="operator:bob", now=NOON + DAY)
            with pytest.raises(UnknownId, match="no key in force"):
                ledger.keys.replace(gone, key("cccccccc", created_at=NOON + DAY), expires_at=NOON + 2 * DAY)
        assert [one.revoked_at for one in ledger.keys.all()] == [NOON, None]

    def test_who_made_replaced_and_revoked_a_key_is_in_the_chain_without_what_opens(self, ledger: Ledger) -> None:
        ledger.keys.add(key("aaaaaaaa"))
        ledger.keys.replace("aaaaaaaa", key("bbbbbbbb", created_by="operator:bob"), expires_at=NOON + DAY)
        ledger.keys.revoke("bbbbbbbb", actor="key:admin", now=NOON)
        assert ledger.model_events() == []
        events = ledger.keys.history()
        assert [(event.actor, event.action) for event in events] == [
            ("key:admin", "key_revoked"),
            ("operator:bob", "key_rotated"),
            ("operator:ann", "key_created"),
        ]
        assert events[2].reasons == ["aaaaaaaa ('shop', tenant default): score, feedback"]
        assert not any("d" * 64 in reason for event in events for reason in event.reasons)
        found = verified(ledger)
        assert (found.is_whole, found.not_sealed) == (True, 0)
