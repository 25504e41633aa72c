"""The guard's question: has the newer of two models broken a limit on the transactions that both scored?

Both score every transaction, so that the figures are paired: traffic that changes moves both alike and trips nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from ml.guard.counts import PairCounts, SideCounts

FASTEST_US: Final = 200.0
"""Scoring a row in less than this is never too slow: a pause of the machine would weigh too much in the ratio."""
SURE: Final = 4.0
"""Standard deviations by which alerts that only one model raises must outnumber the other's (McNemar 1947)."""
SMOOTHING: Final = 0.5


class GuardLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the newer model may differ by. `min_rows`: below this nothing is judged."""

    min_rows: int = 500
    error_rate: float = 0.01
    latency_ratio: float = 3.0
    alert_ratio: float = 2.0
    psi: float = 1.0


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One limit. `figure`: what was found, None where there was too little; `bound`: the limit."""

    name: str
    figure: float | None
    bound: float
    is_broken: bool
    rule: str


class GuardReport(msgspec.Struct, frozen=True, kw_only=True):
    """`rows`: transactions that both models scored; `is_enough`: whether that many can be judged by."""

    rows: int
    is_enough: bool
    findings: list[Finding]

    @property
    def broken(self) -> list[str]:
        """One line per limit that is broken; none while there is too little to judge by."""
        return [_line(one) for one in self.findings if one.is_broken]

    @property
    def figures(self) -> list[str]:
        """One line per limit, kept or not."""
        return [_line(one) for one in self.findings]


def check_pair(counts: PairCounts, limits: GuardLimits) -> GuardReport:
    """Hold the newer model to its limits."""
    is_enough = counts.rows >= limits.min_rows
    findings = [
        _errors(counts, limits),
        _latency(counts, limits),
        _alerts(counts, limits),
        _scores(counts, limits),
    ]
    if not is_enough:
        findings = [msgspec.structs.replace(one, is_broken=False) for one in findings]
    return GuardReport(rows=counts.rows, is_enough=is_enough, findings=findings)


def stability_index(older: Sequence[int], newer: Sequence[int]) -> float | None:
    """Population stability index between two histograms with the same bins; None where one is empty.

    >>> round(stability_index([90, 10], [50, 50]), 2)
    0.87
    """
    if not sum(older) or not sum(newer):
        return None
    expected, actual = _shares(older), _shares(newer)
    return sum((a - e) * math.log(a / e) for e, a in zip(expected, actual, strict=True))


def _shares(counts: Sequence[int]) -> list[float]:
    whole = sum(counts) + SMOOTHING * len(counts)
    return [(count + SMOOTHING) / whole for count in counts]


def _errors(counts: PairCounts, limits: GuardLimits) -> Finding:
    rate = _ratio(counts.newer.failed, counts.rows)
    return _finding("error_rate", rate, limits.error_rate, "transactions that it fails to score")


def _latency(counts: PairCounts, limits: GuardLimits) -> Finding:
    ratio = _ratio(counts.newer.us, counts.older.us)
    is_slow = (_ratio(counts.newer.us, counts.rows) or 0.0) > FASTEST_US
    rule = "time to score, over the other model's"
    return _finding("latency_ratio", ratio, limits.latency_ratio, rule, may_break=is_slow)


def _alerts(counts: PairCounts, limits: GuardLimits) -> Finding:
    """More alerts than the limit, or fewer than its inverse, and not by chance."""
    ratio = (counts.newer.alerts + SMOOTHING) / (counts.older.alerts + SMOOTHING)
    times = max(ratio, 1 / ratio)
    rule = f"alerts, {'over' if ratio >= 1 else 'under'} the other model's"
    return _finding("alert_ratio", times, limits.alert_ratio, rule, may_break=_is_sure(counts.older, counts.newer))


def _is_sure(older: SideCounts, newer: SideCounts) -> bool:
    differ = older.alone + newer.alone
    return differ > 0 and abs(older.alone - newer.alone) > SURE * math.sqrt(differ)


def _scores(counts: PairCounts, limits: GuardLimits) -> Finding:
    index = stability_index(counts.older.bins, counts.newer.bins)
    return _finding("score_psi", index, limits.psi, "stability index of the scores of both models")


def _finding(name: str, figure: float | None, bound: float, rule: str, *, may_break: bool = True) -> Finding:
    is_broken = may_break and figure is not None and figure > bound
    return Finding(name=name, figure=figure, bound=bound, is_broken=is_broken, rule=rule)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _line(finding: Finding) -> str:
    figure = "unknown" if finding.figure is None else f"{finding.figure:.4g}"
    return f"{finding.name}: {figure} (limit {finding.bound:g}); {finding.rule}"
