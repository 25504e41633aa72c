"""What a benchmark run leaves behind, and the figures that are read from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from deploy.bench.bodies import BUILTIN
from deploy.bench.plan import Plan
from deploy.bench.stages import Stage
from deploy.bench.tally import LoadResult

Figure = Callable[[LoadResult], float]


@dataclass(frozen=True, slots=True)
class Run:
    """One load run against one server in one repetition."""

    server: str
    repetition: int
    result: LoadResult


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the repetitions: median, smallest, largest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Raises statistics.StatisticsError when there are no values."""
        return cls(median(values), min(values), max(values))


@dataclass(slots=True)
class Report:
    """A whole benchmark: what ran where, every load run, and the stages of Tollgate at 32 connections."""

    started_at: str
    command: str
    machine: dict[str, object]
    model: str
    plan: Plan
    runs: list[Run] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)

    def closed(self, server: str, connections: int, bodies: str = BUILTIN) -> dict[int, LoadResult]:
        """Repetition -> the closed loop of this level."""
        return {
            run.repetition: run.result
            for run in self.runs
            if (run.server, run.result.rate, run.result.connections, run.result.bodies)
            == (server, None, connections, bodies)
        }

    def open(self, server: str, rate: float) -> dict[int, LoadResult]:
        """Repetition -> the open loop at this rate."""
        return {run.repetition: run.result for run in self.runs if run.server == server and run.result.rate == rate}

    def spread(self, results: dict[int, LoadResult], figure: Figure) -> Spread | None:
        """A figure over the repetitions; None when there were none."""
        return Spread.of([figure(result) for result in results.values()]) if results else None

    def ratio(self, server: str, other: str, connections: int, figure: Figure) -> list[float]:
        """`figure` of one server over the other's, repetition by repetition; a divisor of 0 is left out."""
        mine, theirs = self.closed(server, connections), self.closed(other, connections)
        pairs = [(figure(mine[n]), figure(theirs[n])) for n in sorted(mine.keys() & theirs.keys())]
        return [one / two for one, two in pairs if two > 0]


def requests_s(result: LoadResult) -> float:
    """Answers with status 200 per second."""
    return result.requests_s


def p50_ms(result: LoadResult) -> float:
    """Median latency."""
    return result.latency_ms.p50


def p99_ms(result: LoadResult) -> float:
    """99th percentile of the latency."""
    return result.latency_ms.p99
