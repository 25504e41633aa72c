"""Storing a decision by rules: with the script that workers commit with, so that the first decision wins."""

from __future__ import annotations

from typing import Any

import msgspec
import redis

from config import names
from config.contracts import Decision, JournalRecord
from config.queue.results import DIGEST_LENGTH, decision_of, result_lifetime_s
from config.queue.server_scripts import register
from config.settings import Settings
from web.outcomes import STATUS_CONFLICT, STATUS_NEW, STATUS_REPLAYED
from web.ports.transactions import Transaction

_encode = msgspec.json.Encoder().encode


class RulesCommit:
    """Commits on one connection pool. Commands are not guarded here: they raise RedisError."""

    def __init__(self, settings: Settings, client: redis.Redis) -> None:
        self._settings = settings
        self._client = client
        self._commit = register(client, "commit")

    def commit(self, transaction: Transaction, decision: Decision, record: JournalRecord) -> tuple[str, bytes]:
        """Store the decision, unless there is one; the status (`web.outcomes`) and the decision that is stored."""
        encoded = _encode(decision)
        result = names.result_key(decision.transaction_id)
        if self._store(transaction, decision.transaction_id, encoded, _encode(record)):
            return STATUS_NEW, encoded
        stored: Any = self._client.get(result) or b""
        if stored[:DIGEST_LENGTH].decode() != transaction.digest:
            return STATUS_CONFLICT, b"null"
        kept = decision_of(self._client, stored)
        # The same: it was stored by a first try whose answer was lost.
        return STATUS_NEW if kept == encoded else STATUS_REPLAYED, kept

    def _store(self, transaction: Transaction, transaction_id: str, decision: bytes, record: bytes) -> int:
        """1 when it is stored, 0 when another one is or the id has other content."""
        entry_id = names.transaction_entry(transaction_id)
        result, seen = names.result_key(transaction_id), names.seen_key(transaction_id)
        new: Any = self._commit(
            keys=[
                *(names.JOURNAL, "", names.INBOX_DUE, names.SEQUENCE, names.DEAD_LETTERS),
                *(result, seen, names.inbox_key(entry_id)),
            ],
            args=[
                0,
                0,
                1,
                *("F", transaction.digest, decision, record, b"", entry_id),
                result_lifetime_s(self._settings, is_own_id=transaction.transaction_id is None),
            ],
        )
        return int(new)
