"""Reads decisions and labels back in the order in which they happened, for offline replay."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Engine

from ml.ledger.engine import ledger_errors
from ml.ledger.history import LabelArrival, label_arrivals
from ml.ledger.read import replay_decisions, replay_labels
from ml.ledger.records import StoredDecision, StoredLabel

CHUNK_ROWS = 2000
_Item = TypeVar("_Item", StoredDecision, StoredLabel, LabelArrival)


def replay(engine: Engine, *, after_sequence: int = -1) -> Iterator[StoredDecision | StoredLabel]:
    """Every decision and label with a sequence number above `after_sequence`, by sequence.

    Holds two chunks in memory and no transaction open between them, so it may run for hours beside writers.
    """
    decisions: Iterator[StoredDecision | StoredLabel] = _in_chunks(engine, replay_decisions, after_sequence)
    labels: Iterator[StoredDecision | StoredLabel] = _in_chunks(engine, replay_labels, after_sequence)
    yield from heapq.merge(decisions, labels, key=_sequence)


def replay_history(engine: Engine) -> Iterator[StoredDecision | LabelArrival]:
    """Every decision, and every label of one beside what it is about, by sequence. Reads as `replay` does."""
    decisions: Iterator[StoredDecision | LabelArrival] = _in_chunks(engine, replay_decisions, -1)
    labels: Iterator[StoredDecision | LabelArrival] = _in_chunks(engine, label_arrivals, -1)
    yield from heapq.merge(decisions, labels, key=_sequence)


def _sequence(item: StoredDecision | StoredLabel | LabelArrival) -> int:
    return item.sequence


def _in_chunks(engine: Engine, read: Callable[..., Sequence[_Item]], after_sequence: int) -> Iterator[_Item]:
    after = (after_sequence + 1, 0)
    while True:
        with ledger_errors(engine), engine.connect() as connection:
            chunk = read(connection, after, limit=CHUNK_ROWS)
        yield from chunk
        if len(chunk) < CHUNK_ROWS:
            return
        after = (chunk[-1].sequence, chunk[-1].id)
