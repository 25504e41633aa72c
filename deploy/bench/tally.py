"""What a load run counts: answers by status, losses by reason, latencies by intended send time."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

REFUSED_FROM = 400
MS = 1000.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds over `count` requests (all samples, nothing is binned)."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    max: float

    @classmethod
    def of(cls, samples: array[float]) -> Latency:
        """Nearest-rank percentiles of `samples` (seconds); zeros when there are none."""
        if not samples:
            return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        ordered = sorted(samples)
        p50, p90, p99 = (_rank(ordered, share) for share in (0.50, 0.90, 0.99))
        mean = round(sum(ordered) / len(ordered) * MS, 3)
        return cls(len(ordered), mean, p50, p90, p99, round(ordered[-1] * MS, 3))


def _rank(ordered: list[float], share: float) -> float:
    index = min(len(ordered) - 1, int(share * len(ordered)))
    return round(ordered[index] * MS, 3)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """One load run. `requests_s` counts answers with status 200 only; times in seconds, latencies in ms.

    `completed` counts every answer that arrived in the window (what CPU per request divides by). Latencies
    are those of the requests meant to be sent in the window, refusals (4xx, 5xx) left out because they are
    quick; requests that were lost, timed out or could not be sent count with their age, so that a server
    cannot improve its tail by not answering.
    """

    url: str
    bodies: str
    mode: str
    connections: int
    rate: float | None
    seconds: float
    requests_s: float
    completed: int
    statuses: dict[str, int]
    errors: dict[str, int]
    timeouts: int
    unsent: int
    latency_ms: Latency
    generator_cpu_s: float
    cpu: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class Tally:
    """Collects one run. The window is [`opens_at`, `closes_at`) on the engine's clock."""

    def __init__(self, opens_at: float, closes_at: float) -> None:
        self.opens_at = opens_at
        self.closes_at = closes_at
        self.statuses: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.latencies = array("d")
        self.timeouts = 0
        self.unsent = 0

    def answer(self, status: int, due_at: float, now: float) -> None:
        """An answer arrived."""
        if self.opens_at <= now < self.closes_at:
            self.statuses[status] += 1
        if status < REFUSED_FROM and due_at >= self.opens_at:
            self.latencies.append(now - due_at)

    def lose(self, reason: str, due_at: float, now: float) -> None:
        """A request will not be answered."""
        if now >= self.opens_at:
            self.errors[reason] += 1
            self._age(due_at, now)

    def time_out(self, due_at: float, now: float) -> None:
        """A request was given up after the timeout, or at the end of the run."""
        if now >= self.opens_at:
            self.timeouts += 1
            self._age(due_at, now)

    def leave_unsent(self, due_at: float, now: float) -> None:
        """A request was due before the window closed, but every connection was taken."""
        self.unsent += due_at >= self.opens_at
        self._age(due_at, now)

    def _age(self, due_at: float, now: float) -> None:
        if due_at >= self.opens_at:
            self.latencies.append(now - due_at)
