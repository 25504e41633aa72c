"""The web process's part of the pulse: scoring requests by status and latency, taken about once a second."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from threading import Lock

from config.queue.pulse import LATENCY_EDGES_S, Slot, answered, latency, latency_bin, slot_of


class RequestPulse:
    """Counts scoring requests, in the slot in which they were answered, until they are taken. Threads share it."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, int, int]] = Counter()
        self._lock = Lock()

    def observe(self, status: int, seconds: float) -> None:
        """Count one answered scoring request."""
        key = slot_of(time.time()), status, latency_bin(seconds)
        with self._lock:
            self._counts[key] += 1

    def take(self) -> dict[int, Counter[str]]:
        """What was counted since the last call, by slot of this machine's clock and name of `config.queue.pulse`."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        slots: dict[int, Counter[str]] = defaultdict(Counter)
        for (start_s, status, in_bin), count in counts.items():
            slots[start_s].update({answered(status): count, latency(in_bin): count})
        return dict(slots)


def requests_in(slot: Slot) -> int:
    """How many scoring requests were answered."""
    return sum(count for name, count in slot.counts.items() if name.startswith("answered:"))


def latency_quantile_ms(counts: Mapping[str, int] | Sequence[Mapping[str, int]], quantile: float) -> float | None:
    """The latency that a share `quantile` of the requests does not exceed, in ms; None without requests.

    Within its bin a latency is taken to be spread evenly, so it is off by less than a quarter.
    """
    slots = [counts] if isinstance(counts, Mapping) else counts
    per_bin = [sum(slot.get(latency(n), 0) for slot in slots) for n in range(len(LATENCY_EDGES_S))]
    total = sum(per_bin)
    if not total:
        return None
    wanted = quantile * total
    running = list(accumulate(per_bin))
    hit = next(n for n, reached in enumerate(running) if reached >= wanted and per_bin[n])
    low = LATENCY_EDGES_S[hit - 1] if hit else 0.0
    share = 1 - (running[hit] - wanted) / per_bin[hit]
    return 1000 * (low + share * (LATENCY_EDGES_S[hit] - low))
