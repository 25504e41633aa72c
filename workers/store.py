"""The scoring worker's two round trips to Redis: `observe` before scoring, `commit` after it.

Each is one server-side script over the whole batch; `config/queue/lua` says what they promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from config import names
from config.contracts import ScoreRow
from config.queue.results import result_lifetime_s
from config.queue.server_scripts import HeldScript
from config.schema.model import Schema
from config.settings import Settings
from config.tenants import prefix_of
from ml.features.spec import EntitySpec, FeatureSpec

LABEL_LOG_SLACK_S = 86_400
FOREVER_S = 400 * 86_400

TO_SCORE = "S"
NEW = "N"
CANARY = "K"
FAILED = "E"
CONFLICT = "C"
REPLAYED = "D"


class Observed(msgspec.Struct, frozen=True, gc=False):
    """What `observe` said of one row.

    `status`: "S" score it, "D" decided before (`decision` is its JSON, empty where only the ledger still holds it),
    "C" same id with other content, "X" too late, "K" canary. `logs`: one `(events, labels)` per entity of the spec,
    empty where the row names none; `has_seen`: the row names at least one, so that what it saw is remembered until
    its decision is stored.
    """

    row: ScoreRow
    status: str
    sequence: int = 0
    decision: bytes = b""
    event_at_s: float = 0.0
    logs: Sequence[tuple[bytes, bytes]] = ()
    has_seen: bool = False


class Finished(msgspec.Struct, frozen=True, gc=False):
    """One row, ready to commit.

    `record`, `features`, `action` and `score` are empty unless `status` is "N", a new decision; "E": not scored.
    """

    row: ScoreRow
    status: str
    decision: bytes = b""
    record: bytes = b""
    features: bytes = b""
    action: str = ""
    has_seen: bool = True
    is_from_inbox: bool = False
    score: float = 0.0


class TransactionStore:
    """Redis as the scoring worker uses it, from one thread. Raises RedisError; both calls may be repeated safely."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._settings = settings
        self._observe = HeldScript(client, "observe")
        self._commit = HeldScript(client, "commit")

    def observe(self, rows: Sequence[ScoreRow], spec: FeatureSpec) -> list[Observed]:
        """One `Observed` per row, in order; appends each new row to its entities' logs."""
        real = [row for row in rows if not row.is_canary]
        answers = iter(self.observe_parts([real], spec, looks_in_inbox=True) if real else ())
        empty = [(b"", b"")] * len(spec.entities)
        return [
            Observed(row, CANARY, event_at_s=row.received_ms / 1000, logs=empty) if row.is_canary else next(answers)
            for row in rows
        ]

    def commit(self, finished: Sequence[Finished], *, reply_to: str, batch_id: int) -> int:
        """Store what is new, reply to the web process that waits. Returns how many decisions were new."""
        keys = [names.JOURNAL, reply_to, names.INBOX_DUE, names.SEQUENCE, names.DEAD_LETTERS]
        args: list[Any] = [self._settings.max_wait_s + 30, batch_id, len(finished)]
        for item in finished:
            transaction_id = item.row.transaction_id
            entry_id = names.transaction_entry(transaction_id) if item.is_from_inbox else ""
            keys += (
                names.result_key(transaction_id),
                names.seen_key(transaction_id) if item.has_seen else "",
                names.inbox_key(entry_id) if entry_id else "",
            )
            args += (item.status, item.row.digest, item.decision, item.record, item.features, entry_id)
            args.append(result_lifetime_s(self._settings, is_own_id=item.row.is_own_id))
        return int(self._commit(keys=keys, args=args))

    def close(self) -> None:
        """Drop the connections; the next call opens new ones."""
        self._observe.close()
        self._commit.close()

    def observe_parts(
        self, parts: Sequence[Sequence[ScoreRow]], spec: FeatureSpec, *, looks_in_inbox: bool = False
    ) -> list[Observed]:
        """`observe` of rows that are no canaries, a script per part, in one round trip.

        `looks_in_inbox`: whether they or other content wait there under their ids, which costs the server 0.6 us a row.
        """
        times = [[spec.event_time(row.values, row.received_ms / 1000) for row in rows] for rows in parts]
        calls = [
            self._observe_call(rows, at, spec, looks_in_inbox=looks_in_inbox)
            for rows, at in zip(parts, times, strict=True)
        ]
        return [
            _observed(row, answer, spec.entities, event_at_s)
            for rows, at, (_, *answers) in zip(parts, times, self._observe.run_all(calls), strict=True)
            for row, answer, event_at_s in zip(rows, answers, at, strict=True)
        ]

    def _observe_call(
        self, rows: Sequence[ScoreRow], times: Sequence[float], spec: FeatureSpec, *, looks_in_inbox: bool
    ) -> tuple[list[str], list[Any]]:
        keys: list[str] = [names.SEQUENCE]
        args: list[Any] = [
            spec.history_events,
            self._settings.history_retain_s,
            log_lifetime_s(spec.schema),
            self._settings.seen_ttl_s,
            len(rows),
        ]
        for row, event_at_s in zip(rows, times, strict=True):
            inbox = names.inbox_key(names.transaction_entry(row.transaction_id)) if looks_in_inbox else ""
            keys += (names.result_key(row.transaction_id), names.seen_key(row.transaction_id), inbox)
            _add_row(keys, args, row, spec, event_at_s)
        return keys, args


def log_lifetime_s(schema: Schema) -> int:
    """How long an entity's logs live after its last event: the longest window and delay, and a day."""
    reaches = [FOREVER_S if f.window_s is None else f.window_s + f.delay_s for f in schema.features]
    derives_from_history = any(f.derived is not None and f.derived.entity is not None for f in schema.fields)
    if derives_from_history:
        reaches.append(FOREVER_S)
    return int(max(reaches, default=0)) + LABEL_LOG_SLACK_S


def _add_row(keys: list[str], args: list[Any], row: ScoreRow, spec: FeatureSpec, event_at_s: float) -> None:
    named = [(entity, entity.key(row.values)) for entity in spec.entities]
    present = [(entity, value) for entity, value in named if value is not None]
    args += (row.digest, row.deadline_ms, len(present))
    tenant = prefix_of(row.transaction_id)
    for entity, value in present:
        keys += (
            names.history_key(entity.name, entity.record, tenant + value),
            names.labels_key(entity.name, tenant + value) if entity.uses_labels else "",
        )
        args.append(spec.record(entity, row.values, event_at_s))


def _observed(row: ScoreRow, answer: list[Any], entities: Sequence[EntitySpec], event_at_s: float) -> Observed:
    status = answer[0].decode()
    if status == REPLAYED:
        return Observed(row, status, decision=answer[1])
    if status != TO_SCORE:
        return Observed(row, status)
    logs = iter(answer[2:])
    return Observed(
        row,
        status,
        sequence=int(answer[1]),
        event_at_s=event_at_s,
        logs=[(next(logs), next(logs)) if entity.key(row.values) is not None else (b"", b"") for entity in entities],
        has_seen=len(answer) > 2,
    )
