"""What Tollgate has promised about its speed on two cores, and whether a run kept it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deploy.bench.results import Figure, Report, p50_ms, p99_ms, requests_s

BUSY = 32


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target. `values`: the ratio in each repetition; `kept`: how many of them are in bounds."""

    target: str
    values: tuple[float, ...]
    kept: int

    @property
    def outcome(self) -> str:
        """`met`, `not met`, or in how many of the repetitions."""
        if not self.values:
            return "not measured"
        if self.kept in (0, len(self.values)):
            return "met" if self.kept else "not met"
        return f"met in {self.kept} of {len(self.values)} repetitions"


def judge(report: Report) -> list[Verdict]:
    """Every target that the run measured both sides of."""
    return [verdict for verdict in _verdicts(report) if verdict.values]


def _verdicts(report: Report) -> Iterator[Verdict]:
    yield _at_least(report, "in_process", 8.0, "8 times the requests/s of the in-process shape")
    yield _at_least(report, "empty", 0.5, "50% of the requests/s of the empty route")
    for level in report.plan.levels:
        yield _at_most(report, level, p99_ms, "p99 below the in-process shape's", strictly=True)
    yield _at_most(report, 1, p50_ms, "p50 at most the in-process shape's", strictly=False)


def _at_least(report: Report, other: str, bound: float, what: str) -> Verdict:
    values = tuple(report.ratio("tollgate", other, BUSY, requests_s))
    return Verdict(f"at {BUSY} connections at least {what}", values, sum(value >= bound for value in values))


def _at_most(report: Report, level: int, figure: Figure, what: str, *, strictly: bool) -> Verdict:
    values = tuple(report.ratio("tollgate", "in_process", level, figure))
    kept = sum(value < 1 or (value == 1 and not strictly) for value in values)
    return Verdict(f"at {level} connection{'s' if level > 1 else ''} {what}", values, kept)
