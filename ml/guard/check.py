"""The guard's question: has the newer of two models broken a limit on the transactions that both scored?

Both score every transaction, so that the figures are paired: traffic that changes moves both alike and trips nothing.
A model that the gate judged may also be what it was then: a good successor of a model that fraud has left behind raises
more alerts, and was promoted for that. It breaks a limit only where it is neither like the other model nor like itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from config.contracts import ScoreProfile
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


def check_pair(counts: PairCounts, limits: GuardLimits, *, expected: ScoreProfile | None = None) -> GuardReport:
    """Hold the newer model to its limits. `expected`: how it scored when the gate judged it."""
    is_enough = counts.rows >= limits.min_rows
    findings = [
        _errors(counts, limits),
        _latency(counts, limits),
        _alerts(counts, limits, expected),
        _scores(counts, limits, expected),
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


def _alerts(counts: PairCounts, limits: GuardLimits, expected: ScoreProfile | None) -> Finding:
    """More alerts than the limit, or fewer than its inverse, and not by chance."""
    usual = [float(counts.older.alerts)]
    if expected is not None and expected.rows:
        usual.append(counts.rows * expected.alerts / expected.rows)
    newer = counts.newer.alerts + SMOOTHING
    times = min(max(newer / (alerts + SMOOTHING), (alerts + SMOOTHING) / newer) for alerts in usual)
    rule = (
        f"alerts, more or fewer than usual ({counts.newer.alerts} where the other model raises {counts.older.alerts})"
    )
    is_sure = _is_sure(counts.older, counts.newer)
    return _finding("alert_ratio", times, limits.alert_ratio, rule, may_break=is_sure)


def _is_sure(older: SideCounts, newer: SideCounts) -> bool:
    differ = older.alone + newer.alone
    return differ > 0 and abs(older.alone - newer.alone) > SURE * math.sqrt(differ)


def _scores(counts: PairCounts, limits: GuardLimits, expected: ScoreProfile | None) -> Finding:
    usual = [counts.older.bins, expected.bins if expected else ()]
    found = [index for bins in usual if (index := stability_index(bins, counts.newer.bins)) is not None]
    rule = "stability index of its scores against what is usual"
    return _finding("score_psi", min(found, default=None), limits.psi, rule)


def _finding(name: str, figure: float | None, bound: float, rule: str, *, may_break: bool = True) -> Finding:
    is_broken = may_break and figure is not None and figure > bound
    return Finding(name=name, figure=figure, bound=bound, is_broken=is_broken, rule=rule)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _line(finding: Finding) -> str:
    figure = "unknown" if finding.figure is None else f"{finding.figure:.4g}"
    return f"{finding.name}: {figure} (limit {finding.bound:g}); {finding.rule}"
