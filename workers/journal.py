"""The journal's way into the ledger: read from the stream, commit to SQL, acknowledge, trim behind.

Nothing is acknowledged before the database has committed it, so a crash anywhere repeats work and loses none; the
ledger's unique keys make the repetition harmless.
"""

from __future__ import annotations

import time
from collections import Counter as CountOf
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import redis
import structlog
from celery import shared_task

from config import names
from config.contracts import Decision, JournalEntry, JournalRecord, LabelEntry
from config.queue.bulk_journal import PAYLOAD, unpack_chunk
from config.schema.model import Schema
from config.settings import Settings
from config.tracing import linked_span
from ml.ledger import LabelRecord, Ledger
from ml.ledger.records import EntriesRefused
from workers import metrics
from workers.background import BackgroundRuntime, background_runtime
from workers.batches import complete_batches
from workers.pulse import count_decided
from workers.ticks import is_superseded

log = structlog.get_logger(__name__)

DRAIN_FOR_S = 5.0
BULK_DRAIN_FOR_S = 2.0
CLAIM_IDLE_MS = 30_000

_decision = msgspec.json.Decoder(Decision)
_record = msgspec.json.Decoder(JournalRecord)
_label = msgspec.json.Decoder(LabelEntry)

BULK_ENTRIES = 32
"""Of up to 64 rows each (`workers.bulk.store`): a transaction of two thousand rows."""

Fields = dict[bytes, bytes]
StreamEntry = tuple[bytes, Fields]


@shared_task(name=names.TASK_DRAIN_JOURNAL, ignore_result=True, acks_late=True, soft_time_limit=60, time_limit=90)
def drain_journal() -> None:
    """Move what the journal holds into the ledger, for at most some seconds; beat calls again."""
    runtime = background_runtime()
    if is_superseded(runtime.client):
        return
    until = time.monotonic() + DRAIN_FOR_S
    interactive, bulk = journal_drain(runtime), journal_drain(runtime, stream=names.JOURNAL_BULK)
    # By turns: a batch of a million rows must not keep single payments out of the ledger.
    while interactive.run(DRAIN_FOR_S) + bulk.run(BULK_DRAIN_FOR_S):
        complete_batches(runtime)
        if time.monotonic() > until:
            return
    complete_batches(runtime)


def journal_drain(runtime: BackgroundRuntime, *, stream: str = names.JOURNAL) -> JournalDrain:
    """A drain of one journal by this worker."""
    return JournalDrain(
        runtime.client, runtime.ledger, runtime.schema, runtime.settings, consumer=runtime.worker, stream=stream
    )


class JournalDrain:
    """One consumer of a journal's group. Several may run at once: each gets entries of its own.

    `stream`: the journal of single payments, or the one of batches, whose entries name some rows of a chunk each.
    """

    def __init__(
        self,
        client: redis.Redis,
        ledger: Ledger,
        schema: Schema,
        settings: Settings,
        *,
        consumer: str,
        stream: str = names.JOURNAL,
    ) -> None:
        self._stream = stream
        self._is_bulk = stream == names.JOURNAL_BULK
        self._entries_at_once = BULK_ENTRIES if self._is_bulk else settings.journal_batch
        self._client = client
        self._ledger = ledger
        self._schema = schema
        self._settings = settings
        self._consumer = consumer

    def run(self, for_s: float) -> int:
        """Drain until the journal is empty or `for_s` is over. Returns how many entries were moved.

        Raises: LedgerUnavailable, RedisError; what was read stays unacknowledged and is claimed again.
        """
        self._create_group()
        until = time.monotonic() + for_s
        moved = self._move(self._unfinished()) + self._move(self._claimed())
        while time.monotonic() < until:
            entries = self._fresh()
            moved += self._move(entries)
            if len(entries) < self._entries_at_once:
                break
        return moved

    def _create_group(self) -> None:
        try:
            self._client.xgroup_create(self._stream, names.JOURNAL_GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _unfinished(self) -> list[StreamEntry]:
        """Entries that this consumer took itself and could not store: the ledger was down, or it was killed."""
        answer: Any = self._client.xreadgroup(
            names.JOURNAL_GROUP, self._consumer, {self._stream: "0"}, count=self._entries_at_once
        )
        return list(answer[0][1]) if answer else []

    def _claimed(self) -> list[StreamEntry]:
        """Entries that another consumer took and never acknowledged: it died."""
        answer: Any = self._client.xautoclaim(
            self._stream,
            names.JOURNAL_GROUP,
            self._consumer,
            min_idle_time=CLAIM_IDLE_MS,
            start_id="0-0",
            count=self._entries_at_once,
        )
        return list(answer[1])

    def _fresh(self) -> list[StreamEntry]:
        answer: Any = self._client.xreadgroup(
            names.JOURNAL_GROUP, self._consumer, {self._stream: ">"}, count=self._entries_at_once
        )
        return list(answer[0][1]) if answer else []

    def _move(self, entries: Sequence[StreamEntry]) -> int:
        if not entries:
            return 0
        payloads = [fields[PAYLOAD] for _, fields in entries] if self._is_bulk else []
        refused = self._store_chunks(entries, payloads) if self._is_bulk else self._store([f for _, f in entries])
        ids = [entry_id for entry_id, _ in entries]
        with self._client.pipeline(transaction=True) as pipe:
            for fields, reason in refused:
                pipe.xadd(names.JOURNAL_REFUSED, dict([*fields.items(), (b"reason", reason.encode())]))
            pipe.xack(self._stream, names.JOURNAL_GROUP, *ids)
            pipe.xdel(self._stream, *ids)
            if payloads:
                pipe.unlink(*payloads)
            pipe.execute()
        if refused:
            log.error("ledger_refused_entries", refused=len(refused), kept_in=names.JOURNAL_REFUSED)
        return len(entries)

    def _store(self, entries: Sequence[Fields]) -> list[tuple[Fields, str]]:
        """Commit decisions and labels; returns what the database will never take, with its reasons."""
        decisions = [(_journal_entry(fields), fields) for fields in entries if b"d" in fields]
        said = [(_label.decode(fields[b"l"]), fields) for fields in entries if b"l" in fields]
        labels = [(_label_record(label, fields, self._schema), fields) for label, fields in said]
        refused = _refused_by(self._store_decisions, decisions)
        with linked_span("ledger", links=_traced(label.traceparent for label, _ in said)):
            return refused + _refused_by(self._store_labels, labels)

    def _store_labels(self, labels: list[LabelRecord]) -> int:
        for source, number in CountOf(label.source for label in labels).items():
            metrics.LABELS.labels(source).inc(number)
        return self._ledger.store_labels(labels)

    def _store_chunks(self, entries: Sequence[StreamEntry], payloads: Sequence[bytes]) -> list[tuple[Fields, str]]:
        """As `_store`, of whole chunks. Once their payloads are gone, the results that refer to them say no more than
        that the ledger has the decision.
        """
        packed: Any = self._client.mget(payloads)
        chunks = [(fields, payload) for (_, fields), payload in zip(entries, packed, strict=True)]
        lost = [
            (fields, "its payload is gone")
            for (entry_id, fields), payload in zip(entries, packed, strict=True)
            if payload is None and self._is_there(entry_id)
        ]
        rows = [row for fields, payload in chunks if payload is not None for row in unpack_chunk(fields, payload)]
        try:
            self._store_decisions(rows)
        except EntriesRefused as error:
            return lost + [(_journal_fields(entry), reason) for entry, reason in error.refused]
        return lost

    def _is_there(self, entry_id: bytes) -> bool:
        """Whether an entry is in the journal. It goes together with its payload, when another consumer, from whom this
        one claimed it meanwhile, has stored it after all.
        """
        return bool(self._client.xrange(self._stream, entry_id, entry_id))

    def _store_decisions(self, entries: list[JournalEntry]) -> int:
        """Store, and count those whose transaction was decided before, so long ago that Redis had forgotten it."""
        with linked_span("ledger", links=_traced(entry.record.traceparent for entry in entries)):
            new = self._ledger.store(entries)
        count_decided(self._client, entries)
        if new < len(entries):
            metrics.LATE_DUPLICATES.inc(self._ledger.count_overtaken(entries))
        return new


def _refused_by(store: Callable[[list[Any]], int], pairs: Sequence[tuple[Any, Fields]]) -> list[tuple[Fields, str]]:
    try:
        store([entry for entry, _ in pairs])
    except EntriesRefused as error:
        reasons = {id(entry): reason for entry, reason in error.refused}
        return [(fields, reasons[id(entry)]) for entry, fields in pairs if id(entry) in reasons]
    return []


def _journal_fields(entry: Any) -> Fields:
    """The opposite of `_journal_entry`."""
    encode = msgspec.json.encode
    return {b"d": encode(entry.decision), b"r": encode(entry.record), b"x": entry.features}


def _journal_entry(fields: dict[bytes, bytes]) -> JournalEntry:
    record = _record.decode(fields[b"r"])
    if b"s" in fields:
        record = msgspec.structs.replace(record, sequence=int(fields[b"s"]))
    return JournalEntry(_decision.decode(fields[b"d"]), record, fields[b"x"])


def _traced(traceparents: Iterable[str]) -> list[str]:
    """Each request that is traced once: the rows of a batch share theirs."""
    return [one for one in dict.fromkeys(traceparents) if one]


def _label_record(entry: LabelEntry, fields: Fields, schema: Schema) -> LabelRecord:
    return LabelRecord(
        label_id=entry.label_id,
        is_fraud=entry.is_fraud,
        source=entry.source,
        known_at=datetime.fromtimestamp(entry.known_at_s, UTC),
        received_at=datetime.fromtimestamp(entry.received_at_s, UTC),
        sequence=int(fields[b"s"]),
        decision_id=entry.decision_id,
        transaction_id=entry.transaction_id,
        reason_code=entry.reason_code,
        amount=entry.amount,
        digest=entry.digest,
        schema_digest=schema.digest if entry.values is not None else None,
        values=entry.values,
        client=entry.client,
    )
