"""Finds workers that hang: a solo worker has no time limit, so somebody looks from outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from config.contracts import WorkerReport

BUSY = "busy_since="


@dataclass(frozen=True, slots=True)
class Running:
    """A worker process as the supervisor knows it. `started_at`: Unix seconds; `patience`: multiplies the limit."""

    name: str
    started_at: float
    patience: float = 1.0


@dataclass(slots=True)
class Watchdog:
    """Says which workers hang. Keeps when each was last heard; times are Unix seconds.

    A worker hangs when it has been inside one batch for longer than `limit_s`, or when it was heard since
    its start and has then been silent for that long while the broker answered.
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
        busy_since = busy_since_s(report) if report is not None else None
        if busy_since is not None and busy_since > worker.started_at and now - busy_since > limit_s:
            return f"has been in one batch for {now - busy_since:.0f} s"
        heard_at = self._heard_at.get(worker.name)
        if heard_at is not None and heard_at > worker.started_at and now - heard_at > limit_s:
            return f"has not been heard for {now - heard_at:.0f} s"
        return None


def busy_since_s(report: WorkerReport) -> float | None:
    """When the worker began the batch that it is in, Unix seconds; None while it is in none."""
    _, found, rest = report.detail.partition(BUSY)
    if not found:
        return None
    try:
        return float(rest.split()[0])
    except (ValueError, IndexError):
        return None
