"""What the ledger says about a stretch of time in a few numbers: `GET /metrics` shows them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, case, func, select

from ml.ledger.tables import current_labels, decisions, labels


class LedgerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over the decisions scored since a moment, and how right those with a label were.

    "Positive" is a decision with `is_fraud`. Shares and rates are None where they would divide by zero.
    `labels` counts every label received since then, also of older decisions.
    """

    since: datetime | None
    decisions: int
    by_action: dict[str, int]
    by_model_version: dict[str, int]
    flagged: int
    degraded: int
    labels: int
    labels_by_source: dict[str, int]
    labels_without_decision: int
    labelled_decisions: int
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def flagged_share(self) -> float | None:
        """Share of decisions that say fraud."""
        return _ratio(self.flagged, self.decisions)

    @property
    def fraud_rate(self) -> float | None:
        """Share of fraud among the decisions that have a label."""
        return _ratio(self.true_positives + self.false_negatives, self.labelled_decisions)

    @property
    def accuracy(self) -> float | None:
        return _ratio(self.true_positives + self.true_negatives, self.labelled_decisions)

    @property
    def precision(self) -> float | None:
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float | None:
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)


def summarise(connection: Connection, since: datetime | None) -> LedgerSummary:
    """Four aggregate queries in one transaction."""
    counts = _decision_counts(connection, since)
    confusion = _confusion(connection, since)
    sources = _label_counts(connection, since)
    return LedgerSummary(
        since=since,
        decisions=sum(row.n for row in counts),
        by_action=_added(counts, "action"),
        by_model_version=_added(counts, "model_version"),
        flagged=sum(row.n for row in counts if row.is_fraud),
        degraded=sum(row.n for row in counts if row.degraded),
        labels=sum(row.n for row in sources),
        labels_by_source={row.source: row.n for row in sources},
        labels_without_decision=sum(row.alone for row in sources),
        labelled_decisions=sum(confusion.values()),
        true_positives=confusion.get((True, True), 0),
        false_positives=confusion.get((True, False), 0),
        true_negatives=confusion.get((False, False), 0),
        false_negatives=confusion.get((False, True), 0),
    )


def _decision_counts(connection: Connection, since: datetime | None) -> list[Row[Any]]:
    c = decisions.c
    groups = (c.action, c.model_version, c.is_fraud, c.degraded)
    query = select(*groups, func.count().label("n")).group_by(*groups)
    if since is not None:
        query = query.where(c.scored_at >= since)
    return list(connection.execute(query))


def _confusion(connection: Connection, since: datetime | None) -> dict[tuple[bool, bool], int]:
    """(said fraud, was fraud) -> decisions, by the label that counts now."""
    groups = (decisions.c.is_fraud, current_labels.c.is_fraud.label("was_fraud"))
    query = (
        select(*groups, func.count().label("n"))
        .join(current_labels, current_labels.c.decision_id == decisions.c.decision_id)
        .group_by(*groups)
    )
    if since is not None:
        query = query.where(decisions.c.scored_at >= since)
    return {(row.is_fraud, row.was_fraud): row.n for row in connection.execute(query)}


def _label_counts(connection: Connection, since: datetime | None) -> list[Row[Any]]:
    alone = func.sum(case((labels.c.decision_id.is_(None), 1), else_=0)).label("alone")
    query = select(labels.c.source, func.count().label("n"), alone).group_by(labels.c.source)
    if since is not None:
        query = query.where(labels.c.received_at >= since)
    return list(connection.execute(query))


def _added(rows: list[Row[Any]], key: str) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for row in rows:
        totals[getattr(row, key)] += row.n
    return dict(sorted(totals.items()))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
