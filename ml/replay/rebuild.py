"""Feeds decisions and labels in arrival order to the log book, and compares each decision with what was served."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from config.errors import BundleRefused
from config.tenants import prefix_of
from ml.bundle import TOLERANCE, Bundle
from ml.features.compiled import Floats
from ml.features.history_log import pack_verdict
from ml.features.online import EntityLogs
from ml.ledger import StoredDecision
from ml.ledger.history import LabelArrival
from ml.replay.log_book import LogBook
from ml.replay.report import Difference, Outcome, Replayed
from ml.replay.shelf import BundleShelf

TOGETHER: Final = 256
"""Decisions that are rebuilt in one call: batches of it cost a fifth of single ones."""

Waiting = tuple[StoredDecision, list[EntityLogs]]


class Rebuilder:
    """Rebuilds one stream of decisions and labels. `begins_at`: the first sequence number that the ledger has."""

    def __init__(self, shelf: BundleShelf, *, begins_at: int) -> None:
        self._shelf = shelf
        self._begins_at = begins_at
        self._book = LogBook()

    def compare(
        self, stream: Iterable[StoredDecision | LabelArrival], is_wanted: Callable[[StoredDecision], bool]
    ) -> Iterator[Replayed]:
        """One `Replayed` per wanted decision, in order; others only leave their events. `stream`: by sequence."""
        waiting: list[Waiting] = []
        for item in stream:
            if isinstance(item, LabelArrival):
                self._label(item)
                continue
            logs = self._observe(item)
            if is_wanted(item):
                waiting.append((item, logs))
            if len(waiting) >= TOGETHER:
                yield from self._finish(waiting)
                waiting = []
        yield from self._finish(waiting)

    def _label(self, label: LabelArrival) -> None:
        spec = self._shelf.spec(label.schema_digest)
        if spec is not None:
            records = pack_verdict(label.event_at_s, label.known_at_s, label.is_fraud, label.earlier)
            self._book.label(spec, label.values, records, tenant=prefix_of(label.transaction_id))

    def _observe(self, stored: StoredDecision) -> list[EntityLogs]:
        """What it saw. A decision without a sequence number was made before any worker saw its transaction."""
        spec = self._shelf.spec(stored.record.schema_digest)
        if spec is None or not stored.sequence:
            return []
        tenant = prefix_of(stored.decision.transaction_id)
        return self._book.observe(spec, stored.record.values, stored.record.event_at_s, tenant=tenant)

    def _finish(self, waiting: Sequence[Waiting]) -> Iterator[Replayed]:
        """Neighbours of one bundle are scored together."""
        start = 0
        for end in range(1, len(waiting) + 1):
            if end == len(waiting) or _model_of(waiting[end][0]) != _model_of(waiting[start][0]):
                yield from self._finish_alike(waiting[start:end])
                start = end

    def _finish_alike(self, alike: Sequence[Waiting]) -> Iterator[Replayed]:
        first = alike[0][0]
        if first.decision.degraded:
            why = "it was made by the policy file alone, without a score: there is nothing to rebuild"
            yield from (_told(stored, "impossible", why) for stored, _ in alike)
            return
        try:
            bundle = self._shelf.bundle(first.decision.model_version, first.record.model_digest)
        except BundleRefused as error:
            yield from (_told(stored, "impossible", error.detail) for stored, _ in alike)
            return
        yield from self._scored(bundle, alike)

    def _scored(self, bundle: Bundle, alike: Sequence[Waiting]) -> Iterator[Replayed]:
        X = bundle.featurizer.assemble(
            [stored.record.values for stored, _ in alike],
            [logs for _, logs in alike],
            [stored.record.event_at_s for stored, _ in alike],
        ).X
        for (stored, logs), row, probability in zip(alike, X, bundle.score(X).tolist(), strict=True):
            yield self._judged(bundle, stored, logs, row, probability)

    def _judged(
        self, bundle: Bundle, stored: StoredDecision, logs: Sequence[EntityLogs], row: Floats, probability: float
    ) -> Replayed:
        served = np.frombuffer(stored.features, "<f8")
        if len(served) != len(row):
            why = f"it was stored with {len(served)} features, its bundle has {len(row)}"
            return _told(stored, "impossible", why)
        differences = _differences(bundle.spec.columns, served, row)
        outcome = _outcome(differences, stored.decision.fraud_probability, probability)
        if outcome == "different" and self._is_cut_off(bundle, logs):
            why = f"the ledger begins at sequence number {self._begins_at}: the history before that was removed"
            return _told(stored, "impossible", why)
        return _told(stored, outcome, features=len(row), differences=differences, probability=probability)

    def _is_cut_off(self, bundle: Bundle, logs: Sequence[EntityLogs]) -> bool:
        """Whether it may have seen events that the ledger does not hold any more."""
        pairs = zip(bundle.spec.entities, logs, strict=True)
        full = bundle.spec.history_events
        return self._begins_at > 1 and any(len(log[0]) < full * entity.event_size for entity, log in pairs)


def _model_of(stored: StoredDecision) -> tuple[str, str, bool]:
    return stored.decision.model_version, stored.record.model_digest, stored.decision.degraded


def _differences(columns: Sequence[str], served: Floats, rebuilt: Floats) -> list[Difference]:
    same = (served == rebuilt) | (np.isnan(served) & np.isnan(rebuilt))
    return [Difference(columns[at], _known(served[at]), _known(rebuilt[at])) for at in np.flatnonzero(~same).tolist()]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _outcome(differences: Sequence[Difference], served: float, rebuilt: float) -> Outcome:
    if differences or abs(served - rebuilt) > TOLERANCE:
        return "different"
    return "identical" if served == rebuilt else "close"


def _told(
    stored: StoredDecision,
    outcome: Outcome,
    reason: str = "",
    *,
    features: int = 0,
    differences: Sequence[Difference] = (),
    probability: float | None = None,
) -> Replayed:
    return Replayed(
        decision_id=stored.decision.decision_id,
        transaction_id=stored.decision.transaction_id,
        sequence=stored.sequence,
        model_version=stored.decision.model_version,
        outcome=outcome,
        reason=reason,
        features=features,
        differences=list(differences),
        served_probability=stored.decision.fraud_probability,
        rebuilt_probability=probability,
    )
