"""Replays one decision, or every decision of a ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from config.tenants import prefix_of
from ml.features.history_log import pack_verdict
from ml.features.spec import EntitySpec, FeatureSpec
from ml.ledger import Ledger, StoredDecision
from ml.ledger.history import LabelArrival
from ml.replay.rebuild import Rebuilder
from ml.replay.report import Replayed, ReplaySummary
from ml.replay.shelf import BundleShelf

Item = StoredDecision | LabelArrival


def replay_decision(ledger: Ledger, shelf: BundleShelf, stored: StoredDecision) -> Replayed:
    """Rebuild one decision: only the history of its own entities is read.

    Raises LedgerUnavailable.
    """
    spec = shelf.spec(stored.record.schema_digest)
    past = _past_of(ledger, spec, stored) if spec is not None and stored.sequence else []
    rebuilder = Rebuilder(shelf, begins_at=ledger.first_sequence())
    [replayed] = rebuilder.compare([*past, stored], lambda item: item is stored)
    return replayed


def replay_ledger(
    ledger: Ledger,
    shelf: BundleShelf,
    *,
    since: datetime | None = None,
    advance: Callable[[int], None] = lambda _count: None,
) -> ReplaySummary:
    """Rebuild every decision scored since a moment (None: all); what came before is read for its history.

    Memory is bounded per entity, see `LogBook`. `advance` is told how many decisions more were read.

    Raises LedgerUnavailable.
    """
    summary = ReplaySummary(missing_sequences=ledger.missing_sequences())
    rebuilder = Rebuilder(shelf, begins_at=ledger.first_sequence())
    stream = _watched(ledger.replay_history(), summary, advance)
    for replayed in rebuilder.compare(stream, lambda stored: since is None or stored.scored_at >= since):
        summary.add(replayed)
    return summary


def _watched(stream: Iterator[Item], summary: ReplaySummary, advance: Callable[[int], None]) -> Iterator[Item]:
    """The stream itself; on the way labels are counted and progress is told."""
    for item in stream:
        if isinstance(item, LabelArrival):
            summary.labels += 1
        else:
            advance(1)
        yield item


def _past_of(ledger: Ledger, spec: FeatureSpec, stored: StoredDecision) -> list[Item]:
    """All that the logs of this decision's entities are made of, by sequence, each item once."""
    found: dict[int, Item] = {}
    for entity in spec.entities:
        value = entity.key(stored.record.values)
        if value is None:
            continue
        value = prefix_of(stored.decision.transaction_id) + value
        events = ledger.decisions_of_entity(entity.name, value, before=stored.sequence, limit=spec.history_events)
        labels = _labels_of(ledger, entity, value, stored.sequence, spec.history_events)
        found |= {stored.sequence: stored for stored in events} | {label.sequence: label for label in labels}
    return [found[sequence] for sequence in sorted(found)]


def _labels_of(ledger: Ledger, entity: EntitySpec, value: str, before: int, wanted: int) -> list[LabelArrival]:
    """The last labels that fill the log: a repeated verdict leaves no record, so one page may not be enough."""
    found: list[LabelArrival] = []
    records = 0
    while entity.uses_labels and records < wanted:
        page = ledger.labels_of_entity(entity.name, value, before=before, limit=wanted)
        found = page + found
        records += sum(len(pack_verdict(x.event_at_s, x.known_at_s, x.is_fraud, x.earlier)) for x in page)
        if len(page) < wanted:
            break
        before = page[0].sequence
    return found
