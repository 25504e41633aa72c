"""Counts what came back. Threads add to it; the status line and the summary read it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

LATENCIES_KEPT: Final = 4000


@dataclass
class Tally:
    """What happened so far.

    `outcomes`: (was fraud, action) -> decisions; `refused`: HTTP status -> answers; `retried`: 503s, sent again.
    """

    sent: int = 0
    accepted: int = 0
    polled: int = 0
    retried: int = 0
    unreachable: int = 0
    labels: int = 0
    uploads: int = 0
    outcomes: Counter[tuple[bool, str]] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    _latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_sent(self) -> None:
        with self._lock:
            self.sent += 1

    def count_decision(self, is_fraud: bool, action: str, *, took_ms: float | None = None) -> None:
        """`took_ms`: of a synchronous answer; None for one that was polled."""
        with self._lock:
            self.outcomes[is_fraud, action] += 1
            if took_ms is None:
                self.polled += 1
            else:
                self._latencies_ms.append(took_ms)

    def count_accepted(self) -> None:
        with self._lock:
            self.accepted += 1

    def count_refused(self, status: int) -> None:
        with self._lock:
            self.refused[status] += 1

    def count_retried(self) -> None:
        with self._lock:
            self.retried += 1

    def count_unreachable(self) -> None:
        with self._lock:
            self.unreachable += 1

    def count_upload(self) -> None:
        with self._lock:
            self.uploads += 1

    def count_label(self) -> None:
        with self._lock:
            self.labels += 1

    @property
    def decided(self) -> int:
        return sum(self.outcomes.values())

    def action_count(self, action: str) -> int:
        return self.outcomes[True, action] + self.outcomes[False, action]

    def stopped_share(self, *, is_fraud: bool) -> float | None:
        """Share of the fraud (or of the honest payments) that was reviewed or declined; None before the first."""
        total = sum(count for (was_fraud, _), count in self.outcomes.items() if was_fraud == is_fraud)
        return 1 - self.outcomes[is_fraud, "approve"] / total if total else None

    def latency_ms(self, share: float) -> float | None:
        """The latency that this share of the last synchronous answers kept to (0.5: the median)."""
        with self._lock:
            kept = sorted(self._latencies_ms)
        return kept[min(int(share * len(kept)), len(kept) - 1)] if kept else None
