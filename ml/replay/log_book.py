"""The entities' logs as Redis held them, rebuilt in memory from the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from ml.features.history_log import LABEL_SIZE
from ml.features.online import EntityLogs
from ml.features.spec import FeatureSpec

KEPT_RECORDS: Final = 4096
"""Records that a log keeps at least: the largest `history_events` that the settings allow."""


class LogBook:
    """Event and label logs by what names them in Redis: the entity, the fields kept per event, the value.

    Decisions and labels are shown to it in the order of their sequence. Per log it holds at most 8,192 records.
    """

    def __init__(self) -> None:
        self._events: defaultdict[tuple[str, tuple[str, ...], str], bytearray] = defaultdict(bytearray)
        self._labels: defaultdict[tuple[str, str], bytearray] = defaultdict(bytearray)

    def observe(
        self, spec: FeatureSpec, values: Sequence[Any], event_time_s: float, *, tenant: str
    ) -> list[EntityLogs]:
        """What a transaction saw, one `(events, labels)` per entity; then it is part of the history itself.

        `tenant`: what stands in front of its tenant's ids.
        """
        seen: list[EntityLogs] = []
        for entity in spec.entities:
            value = entity.key(values)
            if value is None:
                seen.append((b"", b""))
                continue
            log = self._events[entity.name, entity.record, tenant + value]
            labels = self._labels[entity.name, tenant + value] if entity.uses_labels else bytearray()
            seen.append((_tail(log, spec, entity.event_size), _tail(labels, spec, LABEL_SIZE)))
            _append(log, spec.record(entity, values, event_time_s))
        return seen

    def label(self, spec: FeatureSpec, values: Sequence[Any], records: Sequence[bytes], *, tenant: str) -> None:
        """A label of a transaction arrives. `records`: what `pack_verdict` made of it; `tenant`: as in `observe`."""
        for entity in spec.entities:
            value = entity.key(values)
            if value is not None and entity.uses_labels:
                for record in records:
                    _append(self._labels[entity.name, tenant + value], record)


def _tail(log: bytearray, spec: FeatureSpec, size: int) -> bytes:
    return bytes(log[-spec.history_events * size :])


def _append(log: bytearray, record: bytes) -> None:
    log += record
    if len(log) > 2 * KEPT_RECORDS * len(record):
        del log[: -KEPT_RECORDS * len(record)]
