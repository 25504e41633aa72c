"""A stand-in for the history store: append-only byte logs per entity, of which a reader sees the tail.

It does with dictionaries what the server-side scripts do in Redis; feature tests feed its tails to the
online side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ml.features.history_log import pack_label
from ml.features.spec import FeatureSpec


class HistoryStore:
    """Logs of one spec's entities, in the order in which `observe` and `label` are called."""

    def __init__(self, spec: FeatureSpec) -> None:
        self._spec = spec
        self._events: dict[tuple[str, str], bytearray] = defaultdict(bytearray)
        self._labels: dict[tuple[str, str], bytearray] = defaultdict(bytearray)

    def observe(self, values: Sequence[Any], event_time_s: float) -> list[tuple[bytes, bytes]]:
        """What a transaction sees, one `(events, labels)` per entity; then it is part of the history
        itself.
        """
        seen = []
        for entity in self._spec.entities:
            key = entity.key(values)
            if key is None:
                seen.append((b"", b""))
                continue
            log = self._events[entity.name, key]
            labels = self._labels[entity.name, key]
            kept = self._spec.history_events
            seen.append((bytes(log[-kept * entity.event_size :]), bytes(labels[-kept * 32 :])))
            log += self._spec.record(entity, values, event_time_s)
        return seen

    def label(
        self,
        values: Sequence[Any],
        event_time_s: float,
        *,
        known_at_s: float,
        is_fraud: bool,
        weight: int = 1,
    ) -> None:
        """A label of a transaction arrives."""
        for entity in self._spec.entities:
            key = entity.key(values)
            if key is not None:
                self._labels[entity.name, key] += pack_label(event_time_s, known_at_s, is_fraud, weight)
