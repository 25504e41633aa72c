"""`Ledger`: the one object through which everything reads and writes decisions and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DataError, IntegrityError

from config.contracts import JournalEntry
from config.schema.model import Schema
from config.tenants import DEFAULT_TENANT, prefix_for
from ml.drift.report import DriftReport
from ml.ledger import drift_reports, history, read, retention, served, settled, shadows
from ml.ledger.audit.book import AuditBook
from ml.ledger.audit.chain import seal_now
from ml.ledger.drift_reports import StoredDriftReport
from ml.ledger.engine import open_engine, reading, writing
from ml.ledger.forgetting import Entity, Forgotten, forget_entity, record_forgotten
from ml.ledger.history import LabelArrival
from ml.ledger.judged import RowIds, newest_ids
from ml.ledger.key_book import KeyBook
from ml.ledger.migrate import migrate
from ml.ledger.model_events import MODEL_ACTIONS, ModelEvent, insert_event, latest_events
from ml.ledger.pulse import LedgerPulse, take_pulse
from ml.ledger.quality import LedgerSummary, summarise
from ml.ledger.quality_book import QualityBook
from ml.ledger.records import (
    DecidedRow,
    DecisionFilter,
    Deleted,
    EntriesRefused,
    LabelRecord,
    StoredDecision,
    StoredLabel,
)
from ml.ledger.replay import replay, replay_history
from ml.ledger.review_book import ReviewBook
from ml.ledger.schemas import SchemaBook
from ml.ledger.served import ServedRow
from ml.ledger.settled import Horizon, SettlingRow
from ml.ledger.tables import decisions, labels
from ml.ledger.write import insert_entries, insert_labels, stored_entries

PAGE_LIMIT = 1000
_REFUSALS = (DataError, IntegrityError, ValueError, TypeError)
"""What a batch raises because of a row's content, not because of the database's state."""
_Item = TypeVar("_Item", JournalEntry, LabelRecord)


class Ledger:
    """Decisions and labels in SQLite or PostgreSQL. Opens nothing until its first call; one per process.

    `schema`: what today's transactions look like. With it the ledger also keeps which account, card or
    merchant a decision is about, and the field names beside the values. Threads may share it.

    Every method raises LedgerUnavailable, within seconds, when the database cannot be used.
    """

    def __init__(self, database_url: str, *, schema: Schema | None = None) -> None:
        self._engine = open_engine(database_url)
        self._schemas = SchemaBook(schema)
        self.quality = QualityBook(self._engine)
        self.reviews = ReviewBook(self._engine)
        self.audit = AuditBook(self._engine)
        self.keys = KeyBook(self._engine)

    def migrate(self) -> None:
        """Bring the tables to the newest version; safe from several processes at once."""
        migrate(self._engine)

    def close(self) -> None:
        """Close the pooled connections. A later call opens new ones."""
        self._engine.dispose()

    def store(self, entries: Sequence[JournalEntry]) -> int:
        """Store journal entries in one transaction; returns how many were new. On the disk when it returns.

        Idempotent: the first entry of a transaction id wins, any other is skipped.

        Raises:
            EntriesRefused: the database cannot hold some of them; the others are stored.
        """
        if not entries:
            return 0
        self._record_schema()
        return self._store(entries, self._insert_entries)

    def store_label(self, label: LabelRecord) -> bool:
        """Store one label; False when its `label_id` was stored before (then nothing changes)."""
        return self.store_labels([label]) == 1

    def store_labels(self, records: Sequence[LabelRecord]) -> int:
        """Store labels in one transaction; returns how many were new. Idempotent by `label_id`.

        Raises:
            EntriesRefused: the database cannot hold some of them; the others are stored.
        """
        return self._store(records, insert_labels) if records else 0

    def count_overtaken(self, entries: Sequence[JournalEntry]) -> int:
        """Of stored entries, how many were skipped since their transaction has another decision."""
        with reading(self._engine) as connection:
            return len(entries) - len(stored_entries(connection, entries))

    def decided_after(self, row_id: int, *, limit: int) -> list[DecidedRow]:
        """The next `limit` decisions in the order of their arrival, after the row `row_id` (0: from the start)."""
        with reading(self._engine) as connection:
            return retention.decided_after(connection, row_id, limit=limit)

    def delete_before(self, moment: datetime, *, unlabelled_before: datetime, limit: int = 500) -> Deleted:
        """Delete, in one transaction, at most `limit` decisions scored before `moment` with their labels.

        Those without a label stay until they were scored before `unlabelled_before` too: it may still come. At most
        `limit` labels without a decision, received before `moment`, go as well. Call again until nothing is deleted.
        """
        with writing(self._engine) as connection:
            return retention.delete_slice(
                connection, moment, unlabelled_before, lambda digest: self._schemas.positions(connection, digest),
                limit=limit,
            )  # fmt: skip

    def decision_by_transaction(self, transaction_id: str) -> StoredDecision | None:
        """The decision of a transaction, with the label that counts now."""
        with reading(self._engine) as connection:
            return read.decision_where(connection, decisions.c.transaction_id == transaction_id)

    def decisions_json(self, transaction_ids: Sequence[str]) -> dict[str, bytes]:
        """The stored decisions of these transactions as JSON, by transaction id; unknown ids are left out."""
        with reading(self._engine) as connection:
            found = [
                stored.decision
                for start in range(0, len(transaction_ids), PAGE_LIMIT)
                for stored in read.decisions_of(connection, transaction_ids[start : start + PAGE_LIMIT])
            ]
        return {decision.transaction_id: msgspec.json.encode(decision) for decision in found}

    def decision_by_id(self, decision_id: str) -> StoredDecision | None:
        """The decision with this decision id, with the label that counts now."""
        with reading(self._engine) as connection:
            return read.decision_where(connection, decisions.c.decision_id == decision_id)

    def decisions_by_id(self, decision_ids: Sequence[str]) -> dict[str, StoredDecision]:
        """At most 1000 decisions by decision id, each with the label that counts now; unknown ids are left out."""
        with reading(self._engine) as connection:
            found = read.labelled_decisions(connection, decision_ids[:PAGE_LIMIT])
        return {stored.decision.decision_id: stored for stored in found}

    def identify(self, *, transaction_ids: Sequence[str], decision_ids: Sequence[str]) -> list[tuple[str, str]]:
        """(decision_id, transaction_id) of the decisions with one of these ids, at most 1000 of each."""
        with reading(self._engine) as connection:
            return read.identify(connection, transaction_ids[:PAGE_LIMIT], decision_ids[:PAGE_LIMIT])

    def decision_by_digest(self, digest: str) -> StoredDecision | None:
        """The latest decision about a transaction with this content, whatever its id."""
        with reading(self._engine) as connection:
            return read.decision_with_digest(connection, digest)

    def latest_decisions(
        self, limit: int = 50, before: int | None = None, filters: DecisionFilter | None = None
    ) -> list[StoredDecision]:
        """At most `limit` (1 to 1000) decisions, newest in the ledger first. `before`: the last `id` seen."""
        with reading(self._engine) as connection:
            return read.decisions_page(connection, filters or DecisionFilter(), limit=_page(limit), before=before)

    def history_of(
        self, entity: str, value: str, *, limit: int = 50, before: datetime | None = None
    ) -> list[StoredDecision]:
        """The decisions about one account, card or merchant, latest event first, before a moment.

        `value`, here and below: as it is kept, with its tenant (`config.tenants`).
        """
        with reading(self._engine) as connection:
            return read.entity_page(connection, entity, value, limit=_page(limit), before=before)

    def labels_of(self, decision_id: str) -> list[StoredLabel]:
        """Every label of a decision in the order in which they became known: the last one counts."""
        with reading(self._engine) as connection:
            return read.labels_where(connection, labels.c.decision_id == decision_id)

    def label_digests(self, label_ids: Sequence[str]) -> dict[str, str]:
        """What at most 1000 labels say (`LabelEntry.content_digest`), by label id; unknown ids are left out."""
        with reading(self._engine) as connection:
            return read.label_digests(connection, label_ids[:PAGE_LIMIT])

    def labels_without_decision(self, digest: str) -> list[StoredLabel]:
        """The labelled transactions of this content that no decision was found for, by `known_at`."""
        with reading(self._engine) as connection:
            return read.labels_where(connection, labels.c.digest == digest, labels.c.decision_id.is_(None))

    def count_decisions(self) -> int:
        """How many decisions the ledger holds."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.count()).select_from(decisions)).scalar_one()

    def summary(self, since: datetime | None = None) -> LedgerSummary:
        """Counts and accuracy over the decisions scored since a moment (None: all)."""
        with reading(self._engine) as connection:
            return summarise(connection, since)

    def pulse(self) -> LedgerPulse:
        """What its newest rows say."""
        with reading(self._engine) as connection:
            return take_pulse(connection)

    def field_names(self, schema_digest: str) -> tuple[str, ...] | None:
        """The names of the fields in `record.values` of decisions made under a schema; None when unknown."""
        with reading(self._engine) as connection:
            return self._schemas.field_names(connection, schema_digest)

    def replay_stream(self, *, after_sequence: int = -1) -> Iterator[StoredDecision | StoredLabel]:
        """Every decision and label in the global arrival order, read in chunks while it is consumed."""
        return replay(self._engine, after_sequence=after_sequence)

    def replay_history(self) -> Iterator[StoredDecision | LabelArrival]:
        """As `replay_stream`, each label with the transaction it is about; labels without a decision are left out."""
        return replay_history(self._engine)

    def decisions_of_entity(self, entity: str, value: str, *, before: int, limit: int) -> list[StoredDecision]:
        """The last decisions about an account, card or merchant before a sequence number, in arrival order."""
        with reading(self._engine) as connection:
            return history.decisions_of_entity(connection, entity, value, before=before, limit=limit)

    def labels_of_entity(self, entity: str, value: str, *, before: int, limit: int) -> list[LabelArrival]:
        """The last labels about an account, card or merchant before a sequence number, in arrival order."""
        with reading(self._engine) as connection:
            return history.arrivals_of_entity(connection, entity, value, before=before, limit=limit)

    def first_sequence(self) -> int:
        """The lowest sequence number of a decision that history saw; 0 when there is none."""
        with reading(self._engine) as connection:
            return history.first_sequence(connection)

    def missing_sequences(self) -> int:
        """Sequence numbers in between that the ledger has nothing for: removed, or never decided."""
        with reading(self._engine) as connection:
            return history.missing_sequences(connection)

    def count_served(self, since: datetime, until: datetime) -> dict[str, int]:
        """Decisions scored in a stretch of time, by the digest of the bundle that made them ("": none)."""
        with reading(self._engine) as connection:
            return served.count_served(connection, since, until)

    def served_rows(
        self, model_digest: str, since: datetime, until: datetime, *, step: int = 1, after: int = 0
    ) -> list[ServedRow]:
        """A page of what one bundle served in a stretch of time: every `step`-th row, from the `id` after `after`."""
        with reading(self._engine) as connection:
            return served.served_rows(connection, model_digest, since, until, step=step, after=after)

    def newest_ids(self) -> RowIds:
        """The highest row numbers of decisions and labels; 0 where there is none."""
        with reading(self._engine) as connection:
            return newest_ids(connection)

    def next_horizon(self, last: Horizon, until: Horizon, *, schema_digest: str) -> Horizon:
        """The next look on the way from one horizon to another, near enough to be read at once."""
        with reading(self._engine) as connection:
            return settled.next_horizon(connection, last, until, schema_digest=schema_digest)

    def settling_between(self, last: Horizon, now: Horizon, *, schema_digest: str) -> list[SettlingRow]:
        """The decisions under a schema whose truth may have become known between two looks."""
        with reading(self._engine) as connection:
            return settled.settling_between(connection, last, now, schema_digest=schema_digest)

    def shadow_scores(self, model_digest: str) -> dict[str, float]:
        """What the model of this digest said of transactions that another one decided, by transaction id."""
        with reading(self._engine) as connection:
            return shadows.scores_of(connection, model_digest)

    def store_drift_report(self, report: DriftReport, *, now: datetime, has_asked: bool = False) -> int:
        """Store one report; returns its id. `has_asked`: a challenger was asked for because of it."""
        with writing(self._engine) as connection:
            return drift_reports.insert_report(connection, report, created_at=now, has_asked=has_asked)

    def drift_reports(self, limit: int = 50) -> list[StoredDriftReport]:
        """The newest drift reports, newest first."""
        with reading(self._engine) as connection:
            return drift_reports.newest_reports(connection, _page(limit))

    def drift_report(self, report_id: int) -> StoredDriftReport | None:
        """One drift report, or None when there is none of this id (any more)."""
        with reading(self._engine) as connection:
            return drift_reports.report_by_id(connection, report_id)

    def forget_drift_reports(self, *, keep: int) -> list[int]:
        """Delete all but the newest `keep` drift reports; returns the ids of what was deleted."""
        with writing(self._engine) as connection:
            return drift_reports.forget_reports(connection, keep)

    def record_model_event(self, event: ModelEvent) -> None:
        """Add what happened to a model to the audit trail and its chain. On the disk when it returns."""
        with writing(self._engine) as connection:
            insert_event(connection, event)
            seal_now(connection, "model_events", now=datetime.now(UTC))

    def model_events(self, limit: int = 50) -> list[ModelEvent]:
        """The newest entries (1 to 1000) of the audit trail, newest first; `keys.history` has those about API keys."""
        with reading(self._engine) as connection:
            return latest_events(connection, limit=_page(limit), actions=MODEL_ACTIONS)

    def forget(self, entity: str, value: str, *, actor: str, now: datetime, tenant: str = DEFAULT_TENANT) -> Forgotten:
        """Put a made-up name in the place of an entity's identifier, everywhere, in one transaction with its audit.

        Decisions, labels and figures stay. Idempotent: what was forgotten is not found again.
        """
        pseudonym, about = f"forgotten-{uuid4().hex}", Entity(entity, value, prefix_for(tenant))
        with writing(self._engine) as connection:
            book = self._schemas
            found = forget_entity(
                connection, about, pseudonym, lambda digest: book.positions(connection, digest), now=now
            )
            record_forgotten(connection, entity, found, actor=actor, now=now)
            seal_now(connection, "model_events", now=now)
        return found

    def _insert_entries(self, connection: Connection, entries: Sequence[JournalEntry]) -> int:
        return insert_entries(connection, entries, lambda digest: self._schemas.positions(connection, digest))

    def _record_schema(self) -> None:
        """Write today's schema, once per process."""
        if self._schemas.is_recorded:
            return
        with writing(self._engine) as connection:
            self._schemas.record(connection, now=datetime.now(UTC))
        self._schemas.is_recorded = True

    def _store(self, items: Sequence[_Item], insert: Callable[[Connection, Sequence[_Item]], int]) -> int:
        """All at once; after the database refused them for their content, one by one to find out which."""
        try:
            with writing(self._engine) as connection:
                return insert(connection, items)
        except _REFUSALS:
            return self._store_one_by_one(items, insert)

    def _store_one_by_one(self, items: Sequence[_Item], insert: Callable[[Connection, Sequence[_Item]], int]) -> int:
        stored, refused = 0, []
        for item in items:
            try:
                with writing(self._engine) as connection:
                    stored += insert(connection, [item])
            except _REFUSALS as error:
                refused.append((item, _reason(error)))
        if refused:
            raise EntriesRefused(tuple(refused), stored)
        return stored


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", error)).partition("\n")[0]


def _page(limit: int) -> int:
    return max(1, min(limit, PAGE_LIMIT))
