"""What the gate answers: every check with its figure, its bound and what it leads to; as JSON and as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from config.contracts import ScoreProfile

Outcome = Literal["promote", "keep_shadowing", "reject"]
_SEVERITY: tuple[Outcome, ...] = ("promote", "keep_shadowing", "reject")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One question and its answer.

    `rule`: what must hold, in words. `figure` against `bound`; `low` and `high`: the interval of the figure, where
    it was drawn by bootstrap. `leads_to`: what this check alone would decide.
    """

    name: str
    rule: str
    figure: float | None
    bound: float
    leads_to: Outcome
    passed: bool
    low: float | None = None
    high: float | None = None


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The decision about one challenger, with its reasons. Times are Unix seconds; JSON by msgspec.

    `judged_on`: the newest block of the ledger, scored afterwards, or the scores that both models gave at the time.
    `profile`: how the challenger scored it, which it is held to when it decides.
    """

    outcome: Outcome
    champion: str
    challenger: str
    decided_at: str
    window_from_s: float
    window_until_s: float
    rows: int
    frauds: int
    checks: list[Check]
    judged_on: Literal["newest_block", "shadow_scores"] = "newest_block"
    profile: ScoreProfile | None = None

    @property
    def reasons(self) -> list[str]:
        """One line per check that did not pass; the gain when all did."""
        failed = [check_line(check) for check in self.checks if not check.passed]
        return failed or [check_line(check) for check in self.checks if check.name == "average_precision_gain"]


def worst(outcomes: list[Outcome]) -> Outcome:
    """The decision when each check leads somewhere: the most severe."""
    return max(outcomes, key=_SEVERITY.index)


def as_text(report: GateReport) -> str:
    """The report for a terminal: one line per check."""
    head = (
        f"{report.outcome.replace('_', ' ')}: {report.challenger} against {report.champion}, on {report.rows:,} "
        f"payments with {report.frauds:,} frauds from {_day(report.window_from_s)} to {_day(report.window_until_s)}"
    )
    lines = [
        f"  {'ok' if check.passed else check.leads_to.replace('_', ' '):<15}{check_line(check)}"
        for check in report.checks
    ]
    return "\n".join([head, *lines])


def check_line(check: Check) -> str:
    """`name: figure (interval), rule`."""
    interval = "" if check.low is None or check.high is None else f" ({_show(check.low)} to {_show(check.high)})"
    return f"{check.name}: {_show(check.figure)}{interval}; {check.rule}"


def _show(figure: float | None) -> str:
    if figure is None or figure != figure:
        return "unknown"
    return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.4g}"


def _day(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).date().isoformat()
