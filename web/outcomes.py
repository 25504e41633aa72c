"""Where a transaction stands: what a script or a worker answered, or what result, inbox and ledger hold of it."""

from __future__ import annotations

from typing import Any, Final

import redis

from config import names
from config.errors import LedgerUnavailable, TollgateError, TransactionConflict
from config.queue.results import decision_of
from config.settings import Settings
from web.breaker import Guard
from web.ports.lookup import DecisionLookup
from web.ports.transactions import Outcome

STATUS_NEW: Final = "N"
STATUS_REPLAYED: Final = "D"
STATUS_CONFLICT: Final = "C"
STATUS_EXPIRED: Final = "X"
_STATUS_FAILED: Final = "E"
EXPIRY_SLACK_MS: Final = 1000
"""An entry and its result are of one moment; one of the two counts whole seconds."""
_ONLY_IN_LEDGER: Final = (b"", b"null")


class Outcomes:
    """One per web process. `guard` runs every broker command."""

    def __init__(self, settings: Settings, client: redis.Redis, lookup: DecisionLookup, *, guard: Guard) -> None:
        self._result_ttl_ms = settings.result_ttl_s * 1000
        self._client = client
        self._lookup = lookup
        self._guard = guard

    def of_answer(self, transaction_id: str, status: str, decision: bytes) -> Outcome:
        """The outcome of an answer. Raises TransactionConflict, LedgerUnavailable, TollgateError (it failed)."""
        if status == STATUS_CONFLICT:
            raise TransactionConflict(f"transaction_id {transaction_id!r} was sent before with other content")
        if status == _STATUS_FAILED:
            raise TollgateError("The scoring worker could not score this transaction")
        if decision in _ONLY_IN_LEDGER:
            decision = self._recorded(transaction_id)
        return Outcome("decided", transaction_id, decision, replayed=status == STATUS_REPLAYED)

    def find(self, transaction_id: str) -> Outcome:
        """See `TransactionGateway.find`."""
        stored, (accepted, dead), was_seen = self._guard(lambda: self._look_up(transaction_id))
        if stored is not None:
            decision = self._guard(lambda: decision_of(self._client, stored))
            return Outcome("decided", transaction_id, decision or self._recorded(transaction_id))
        if not dead and (accepted or was_seen):
            return Outcome("pending", transaction_id)
        # Asked before the ledger, which may get the decision in between.
        is_ledger_behind = self._guard(self._holds_the_journal_what_redis_forgot)
        # A dead letter may have been decided since, by a synchronous request with its id.
        if recorded := self._lookup.decision_json(transaction_id):
            return Outcome("decided", transaction_id, recorded)
        if is_ledger_behind:
            raise LedgerUnavailable(f"the ledger is behind, and may not have {transaction_id!r} yet", retry_after_s=5)
        return Outcome("dead_lettered" if dead else "unknown", transaction_id)

    def _look_up(self, transaction_id: str) -> Any:
        pipe = self._client.pipeline(transaction=False)
        pipe.get(names.result_key(transaction_id))
        pipe.hmget(names.inbox_key(names.transaction_entry(transaction_id)), "accepted_s", "dead_ms")
        pipe.exists(names.seen_key(transaction_id))
        return pipe.execute()

    def _holds_the_journal_what_redis_forgot(self) -> bool:
        """Whether a decision can be in a journal alone: one entry is as old as the results that expire first."""
        pipe = self._client.pipeline(transaction=False)
        pipe.time()
        for journal in (names.JOURNAL, names.JOURNAL_BULK):
            pipe.xrange(journal, count=1)
        (now_s, now_us), *oldest = pipe.execute()
        before_ms = now_s * 1000 + now_us // 1000 - self._result_ttl_ms + EXPIRY_SLACK_MS
        return any(int(entry_id.split(b"-")[0]) <= before_ms for entries in oldest for entry_id, _ in entries)

    def _recorded(self, transaction_id: str) -> bytes:
        """The decision of which Redis keeps the digest alone. Raises LedgerUnavailable."""
        decision = self._lookup.decision_json(transaction_id)
        if decision is None:
            raise LedgerUnavailable(f"the ledger does not show the decision of {transaction_id!r}", retry_after_s=1)
        return decision
