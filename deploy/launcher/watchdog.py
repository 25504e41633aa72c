"""Finds workers that hang: a solo worker has no time limit, so somebody looks from outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from config.contracts import WorkerReport, WorkInHand

OLD_FORM = "busy_since="
"""What workers of releases before `WorkerReport.work` write into `detail`, with a Unix time."""


@dataclass(frozen=True, slots=True)
class Running:
    """A worker process as the supervisor knows it. `started_at`: Unix seconds; `patience`: multiplies the limit."""

    name: str
    started_at: float
    patience: float = 1.0


@dataclass(slots=True)
class Watchdog:
    """Says which workers hang. Keeps when each was last heard; times are Unix seconds.

    A worker hangs when it has been inside one batch for longer than `limit_s`, inside one task for longer than that
    declares, or when it was heard since its start and has then been silent for `limit_s` while the broker answered.
    """

    limit_s: float
    _heard_at: dict[str, float] = field(default_factory=dict)

    def hanging(self, running: Iterable[Running], reports: Iterable[WorkerReport], now: float) -> dict[str, str]:
        """The workers to replace: name -> why. Call it about once a second while the broker answers."""
        by_name = {report.worker.partition("@")[0]: report for report in reports}
        found = {}
        for worker in running:
            report = by_name.get(worker.name)
            if report is not None:
                self._heard_at[worker.name] = now
            if reason := self._why(worker, report, now):
                found[worker.name] = reason
        return found

    def broker_is_away(self, now: float) -> None:
        """Nobody can be heard: silence does not count until the broker answers again."""
        for name in self._heard_at:
            self._heard_at[name] = now

    def _why(self, worker: Running, report: WorkerReport | None, now: float) -> str | None:
        limit_s = self.limit_s * worker.patience
        work = work_of(report) if report is not None else None
        if work is not None and work.since > worker.started_at and is_overdue(work, limit_s, now):
            return f"has been in one {work.what} for {now - work.since:.0f} s"
        heard_at = self._heard_at.get(worker.name)
        if heard_at is not None and heard_at > worker.started_at and now - heard_at > limit_s:
            return f"has not been heard for {now - heard_at:.0f} s"
        return None


def is_overdue(work: WorkInHand, limit_s: float, now: float) -> bool:
    """Whether it takes longer than it may; `limit_s` counts for work that says nothing itself. `now`: Unix seconds."""
    return now - work.since > (work.limit_s or limit_s)


def work_of(report: WorkerReport) -> WorkInHand | None:
    """What the worker is doing, None while it waits for a message; also as workers of earlier releases say it."""
    _, found, rest = report.detail.partition(OLD_FORM)
    if report.work is not None or not found:
        return report.work
    try:
        return WorkInHand("batch", float(rest.split()[0]))
    except (ValueError, IndexError):
        return None
