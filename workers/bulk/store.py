"""Redis as a bulk worker uses it: take a chunk, store its decisions, report it done. Raises RedisError.

Every call is one server-side script that may be repeated safely; `config/queue/lua` says what each promises.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import compress
from typing import Any, TypeVar

import msgspec
import redis
from celery import Celery
from celery.worker import state
from kombu.exceptions import OperationalError

from config import names
from config.contracts import ScoreRow
from config.queue.batches import BatchRecord, batch_entry, chunk_entry
from config.queue.bulk_journal import pack_chunk
from config.queue.messages import TaskMessage
from config.queue.results import decisions_of, result_lifetime_s
from config.queue.server_scripts import HeldScript
from config.settings import Settings
from ml.features.spec import FeatureSpec
from workers.store import CONFLICT, NEW, REPLAYED, TO_SCORE, Finished, Observed, TransactionStore

PRESSURE_CHECK_S = 0.05
ROWS_PER_CALL = 64
"""Rows per call of a script: it has the server to itself for half a millisecond, and single payments wait for it."""
CALLS_AT_ONCE = 8
"""Calls per round trip while nobody waits for single answers: the server writes its file once for all of them."""

Part = TypeVar("Part", ScoreRow, Finished)
_pack = msgspec.msgpack.Encoder().encode


class WorkerStopping(Exception):
    """The worker was told to stop while it waited: somebody else, or the next one, does the work."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """What became of one row: "N" with its new decision, "D" with the one that was stored before, or "C".

    `decision` of a "D" is empty when only the ledger has it.
    """

    status: str
    decision: bytes


class BulkStore:
    """The scripts of the bulk path on connections of their own; for one thread."""

    def __init__(self, client: redis.Redis, settings: Settings, app: Celery, transactions: TransactionStore) -> None:
        self._client = client
        self._transactions = transactions
        self._settings = settings
        self._app = app
        self._ticket = TaskMessage(app, names.TASK_SCORE_CHUNK, names.QUEUE_BULK)
        self._calls_at_once = 1
        self._claim = HeldScript(client, "claim_chunk")
        self._commit = HeldScript(client, "commit_chunk")
        self._finish = HeldScript(client, "finish_chunk")
        self._start = HeldScript(client, "start_batch")

    def start(self, batch: BatchRecord, *, rows: int, chunks: int, error: tuple[str, str] = ("", "")) -> str:
        """The upload has been read: ask for the first chunks, or end the batch with `error`. Returns its status."""
        asked = min(self._settings.bulk_chunks_ahead, chunks)
        status = self._start(
            keys=[
                names.batch_key(batch.batch_id),
                names.inbox_key(batch_entry(batch.batch_id)),
                names.INBOX_DUE,
                names.QUEUE_BULK,
                names.open_batches_key(batch.client),
                names.BATCHES_FINALIZING,
                names.DEAD_LETTERS,
            ],
            args=[
                batch.batch_id,
                batch_entry(batch.batch_id),
                rows,
                chunks,
                *error,
                self._settings.bulk_results_ttl_s * 1000,
                self._settings.inbox_overdue_s,
                *(self._ticket.render(batch.batch_id) for _ in range(asked)),
            ],
        )
        return str(status.decode())

    def claim_chunk(self, batch_id: str) -> int | None:
        """The number of the next chunk of a batch, now in the inbox; None when there is none to take."""
        chunk = self._claim(
            keys=[names.batch_key(batch_id), names.INBOX_DUE],
            args=[
                batch_id,
                names.inbox_key(""),
                self._settings.inbox_overdue_s,
                names.TASK_SCORE_CHUNK,
                names.QUEUE_BULK,
            ],
        )
        return None if chunk < 0 else int(chunk)

    def observe(self, rows: Sequence[ScoreRow], spec: FeatureSpec) -> list[Observed]:
        """One `Observed` per row, in order. Only rows that name an entity need the script, some at a time."""
        has_history = [any(entity.key(row.values) is not None for entity in spec.entities) for row in rows]
        with_history = iter(self._with_history(list(compress(rows, has_history)), spec))
        others = [row for row, has in zip(rows, has_history, strict=True) if not has]
        without = iter(self._without_history(others, spec))
        return [next(with_history if has else without) for has in has_history]

    def _with_history(self, rows: Sequence[ScoreRow], spec: FeatureSpec) -> Iterator[Observed]:
        for parts in self._trips(rows):
            yield from self._transactions.observe_parts(parts, spec)

    def _without_history(self, rows: Sequence[ScoreRow], spec: FeatureSpec) -> Iterator[Observed]:
        if not rows:
            return
        stored: Any = self._client.mget([names.result_key(row.transaction_id) for row in rows])
        decisions = decisions_of(self._client, [result or b"" for result in stored])
        empty = [(b"", b"")] * len(spec.entities)
        for row, result, decision in zip(rows, stored, decisions, strict=True):
            if result is None:
                event_at_s = spec.event_time(row.values, row.received_ms / 1000)
                yield Observed(row, TO_SCORE, event_at_s=event_at_s, logs=empty)
            elif result.startswith(row.digest.encode()):
                yield Observed(row, REPLAYED, decision=decision)
            else:
                yield Observed(row, CONFLICT)

    def commit(self, finished: Sequence[Finished]) -> list[Stored]:
        """Store new decisions, some rows at a time: those of one call are in one journal entry or nowhere.

        Returns what became of each row.
        """
        stored = []
        for parts in self._trips(finished):
            answers = self._commit.run_all([self._commit_call(rows) for rows in parts])
            for rows, late in zip(parts, answers, strict=True):
                stored += _stored(rows, late)
        return stored

    def _trips(self, rows: Sequence[Part]) -> list[list[Sequence[Part]]]:
        """The rows of each call, the calls of each round trip."""
        parts = [rows[start : start + ROWS_PER_CALL] for start in range(0, len(rows), ROWS_PER_CALL)]
        return [parts[start : start + self._calls_at_once] for start in range(0, len(parts), self._calls_at_once)]

    def _commit_call(self, finished: Sequence[Finished]) -> tuple[list[str], list[Any]]:
        chunk = pack_chunk(*zip(*((item.decision, item.record, item.features) for item in finished), strict=True))
        return [names.JOURNAL_BULK, names.SEQUENCE, names.BULK_PAYLOADS], [
            *(names.bulk_payload_key(""), names.result_key(""), names.seen_key("")),
            *(result_lifetime_s(self._settings, is_own_id=is_own) for is_own in (False, True)),
            *(chunk.payload, chunk.decisions_bytes, chunk.records_bytes),
            _pack([_commit_row(item) for item in finished]),
        ]

    def finish_chunk(self, batch: BatchRecord, chunk: int, *, decided: int, refused: int) -> str:
        """Count a chunk whose files are written and ask for the next one. Returns the batch's status."""
        entry = chunk_entry(batch.batch_id, chunk)
        status = self._finish(
            keys=[
                names.batch_key(batch.batch_id),
                names.inbox_key(entry),
                names.INBOX_DUE,
                names.QUEUE_BULK,
                names.inbox_key(batch_entry(batch.batch_id)),
                names.BATCHES_FINALIZING,
                names.open_batches_key(batch.client),
                names.DEAD_LETTERS,
                names.dead_chunks_key(batch.batch_id),
                names.JOURNAL_BULK,
            ],
            args=[
                entry,
                decided,
                refused,
                self._ticket.render(batch.batch_id),
                batch.batch_id,
                self._settings.inbox_overdue_s,
                batch_entry(batch.batch_id),
                self._settings.bulk_results_ttl_s * 1000,
                names.inbox_key(""),
            ],
        )
        return str(status.decode())

    def ask_for_the_ledger(self) -> None:
        """Have the journal drained now instead of at beat's next tick; that tick comes if this message is lost."""
        with suppress(OperationalError):
            self._app.send_task(names.TASK_DRAIN_JOURNAL, ignore_result=True)

    def close(self) -> None:
        """Drop the connections; the next call opens new ones."""
        for script in (self._claim, self._commit, self._finish, self._start):
            script.close()

    def keep_alive(self, entry: str) -> None:
        """Accepted work that takes long is not overdue while it is being done."""
        now_s: int = self._client.time()[0]  # the reaper's clock
        self._client.zadd(names.INBOX_DUE, {entry: now_s + self._settings.inbox_overdue_s}, xx=True)

    def wait_for_room(self, alive: Callable[[], None]) -> bool:
        """Block while the ledger is far behind: what the journal holds of bulk stays bounded.

        Returns whether somebody waits for single answers; then the next calls are made one at a time. Raises
        WorkerStopping: the ledger may be away for longer than a worker has to end.
        """
        most = self._settings.bulk_journal_chunks * math.ceil(self._settings.bulk_chunk_rows / ROWS_PER_CALL)
        entries, are_answers_awaited = self._look_around()
        while entries >= most:
            if state.should_stop is not None:  # SIGTERM; 0 is its exit code
                raise WorkerStopping
            alive()
            time.sleep(PRESSURE_CHECK_S)
            entries, are_answers_awaited = self._look_around()
        self._calls_at_once = 1 if are_answers_awaited else CALLS_AT_ONCE
        return are_answers_awaited

    def _look_around(self) -> tuple[int, bool]:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.xlen(names.JOURNAL_BULK)
            pipe.exists(names.ANSWERS_AWAITED)
            entries, is_marked = pipe.execute()
        return int(entries), bool(is_marked)


def _stored(finished: Sequence[Finished], late: Sequence[Any]) -> list[Stored]:
    """What became of the rows of one call. `late`: as `commit_chunk.lua` answers."""
    stored = [Stored(NEW, item.decision) for item in finished]
    for number, answer in zip(late[::2], late[1::2], strict=True):
        stored[number] = Stored(CONFLICT, b"") if answer == b"C" else Stored(REPLAYED, answer[1:])
    return stored


def _commit_row(item: Finished) -> tuple[str, str, int, bool, bool]:
    """As `commit_chunk.lua` reads it."""
    row = item.row
    return row.transaction_id, row.digest, len(item.decision), item.has_seen, row.is_own_id
