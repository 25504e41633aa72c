"""The promise that every scenario is held to: each accepted transaction has exactly one stored decision."""

from __future__ import annotations

import http.client
import json
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import msgspec

from config import names
from ml.features.spec import FeatureSpec
from ml.ledger import StoredDecision
from tests.faults.client import Connection, Told
from tests.faults.stack import FaultStack

LOG_HEADER_BYTES = 24
FLOAT_BYTES = 8
NAMED = 5
"""How many offenders a failure names."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the check found: accepted ids, how many of them were answered at once, seconds until all was stored."""

    accepted: int
    decided: int
    settled_s: float


def assert_one_decision_each(
    stack: FaultStack,
    told: Told,
    prefix: str,
    *,
    limit_s: float = 90.0,
    dead: frozenset[str] = frozenset(),
    looked_up: int | None = None,
) -> Kept:
    """Wait until nothing is unfinished, then hold the ledger, the API and the history to what the clients were told.

    `prefix`: of this scenario's ids. `dead`: ids that are expected among the dead letters instead of the ledger.
    `looked_up`: how many of them to ask the API about; None for all.
    """
    settled_s = stack.settle(limit_s)
    stored = _stored(stack, prefix)
    wanted = told.accepted - dead
    assert not told.contradictions, f"answered twice, differently: {told.contradictions[:NAMED]}"
    given_up, refused = stack.client.zrange(names.DEAD_LETTERS, 0, -1), stack.stats()["journal_refused"]
    assert len(given_up) == len(dead), f"dead letters: {given_up[:NAMED]}"
    assert refused == 0, f"{refused} journal entries were refused by the ledger"
    assert told.timeouts == 0, f"{told.timeouts} requests got no answer"
    assert set(told.statuses) <= {0, 200, 202, 429, 503}, f"answers that nobody expects: {dict(told.statuses)}"
    _assert_stored_once(stored, wanted, told.sent.keys() - dead)
    _assert_answered_is_stored(stored, told)
    _assert_found_by_id(stack, stored, sorted(wanted)[:looked_up])
    _assert_counted_once(stack, told, stored)
    return Kept(len(told.accepted), len(told.decided), settled_s)


def _stored(stack: FaultStack, prefix: str) -> list[StoredDecision]:
    with stack.ledger() as ledger:
        rows = [row for row in ledger.replay_stream() if isinstance(row, StoredDecision)]
    return [row for row in rows if row.decision.transaction_id.startswith(f"{prefix}-")]


def _assert_stored_once(stored: list[StoredDecision], wanted: set[str], sent: set[str]) -> None:
    rows = Counter(row.decision.transaction_id for row in stored)
    lost, twice = sorted(wanted - rows.keys()), [one for one, count in rows.items() if count > 1]
    assert not lost, f"{len(lost)} accepted transactions have no decision: {lost[:NAMED]}"
    assert not twice, f"{len(twice)} transactions have two decisions: {twice[:NAMED]}"
    assert rows.keys() <= sent, f"decisions of nothing that was sent: {sorted(rows.keys() - sent)[:NAMED]}"


def _assert_answered_is_stored(stored: list[StoredDecision], told: Told) -> None:
    by_id = {row.decision.transaction_id: cast("Any", msgspec.to_builtins(row.decision)) for row in stored}
    changed = [one for one, decision in told.decided.items() if by_id[one] != decision]
    assert not changed, f"stored otherwise than answered: {told.decided[changed[0]]} became {by_id[changed[0]]}"


def _assert_found_by_id(stack: FaultStack, stored: list[StoredDecision], wanted: list[str]) -> None:
    by_id = {row.decision.transaction_id: cast("Any", msgspec.to_builtins(row.decision)) for row in stored}
    connection = Connection(stack.port)
    try:
        for transaction_id in wanted:
            assert _found(connection, transaction_id) == (200, by_id[transaction_id])
    finally:
        connection.close()


def _found(connection: Connection, transaction_id: str) -> tuple[int, Any]:
    path = f"/predictions/{quote(transaction_id, safe='')}"
    try:
        status, body = connection.get(path)
    except (OSError, http.client.HTTPException):  # a web process that was replaced has closed its idle connections
        connection.close()
        status, body = connection.get(path)
    return status, json.loads(body)


def _assert_counted_once(stack: FaultStack, told: Told, stored: list[StoredDecision]) -> None:
    """Each account's log has one event per decision: a redelivery that appended again would show here.

    What was refused may have been seen by a worker before its web process lost the answer: once, never twice.
    """
    decided = {row.decision.transaction_id for row in stored}
    at_least, at_most = Counter[str](), Counter[str]()
    for payment in told.sent.values():
        at_least[payment.account] += payment.transaction_id in decided
        at_most[payment.account] += 1
    for account, events in zip(at_most, events_of(stack, list(at_most)), strict=True):
        assert at_least[account] <= events <= at_most[account], f"{account}: {events} events"


def events_of(stack: FaultStack, accounts: list[str]) -> list[int]:
    """How many events each account's history log has ever been given."""
    spec = FeatureSpec.from_schema(stack.schema, stack.settings.history_events)
    entity = next(one for one in spec.entities if one.name == "account")
    width = FLOAT_BYTES * (1 + len(entity.record))
    logs = stack.client.mget([names.history_key(entity.name, entity.record, account) for account in accounts])
    return [_position(log, width) for log in cast("list[bytes | None]", logs)]


def _position(log: bytes | None, width: int) -> int:
    if log is None:
        return 0
    (base,) = struct.unpack_from("<d", log)
    return int(base) + (len(log) - LOG_HEADER_BYTES) // width
