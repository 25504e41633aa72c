"""Live quality as the web side shows it: lines by day, week, model version or segment, each held to its promise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from config.quality_measures import MEASURES
from ml.quality.cells import QualityState, day_of
from ml.quality.promise import promise_of
from ml.quality.ratio import Figure
from ml.quality.summary import DIMENSION_OF, Grouping, Part, QualityGroup, summarise
from web.bundles import report_of
from web.ports.ledger import DecisionLedger
from web.shapes.quality import QualityReport

DEFAULT_DAYS: Final = 90
RECENT_DAYS: Final = 28


class LiveQuality:
    """Reads the roll-up. Every method raises LedgerUnavailable."""

    def __init__(self, ledger: DecisionLedger, model_dir: Path) -> None:
        self._ledger = ledger
        self._model_dir = model_dir

    def report(self, by: Grouping, *, since: str | None, until: str | None, now: datetime) -> QualityReport:
        """The lines of the days in [since, until); `until` defaults to tomorrow, `since` to 90 days before the last."""
        until = until or day_of(now + timedelta(days=1))
        since = since or self._days_back(until, DEFAULT_DAYS)
        state = self._ledger.quality_state()
        return QualityReport(
            by=by,
            since=since,
            until=until,
            k=state.k if state else 0,
            rolled_at=state.rolled_at.isoformat(timespec="seconds") if state else None,
            label_delay=state.delay if state else None,
            groups=self._lines(by, since, until, state, now) if state else [],
        )

    def recent(self, *, now: datetime) -> tuple[QualityState | None, QualityGroup | None]:
        """The last 28 days with decisions as one line; None before the first roll-up, or without any."""
        state = self._ledger.quality_state()
        if state is None:
            return None, None
        until = day_of(now + timedelta(days=1))
        since = self._days_back(until, RECENT_DAYS)
        lines = self._lines("all", since, until, state, now)
        return state, lines[0] if lines else None

    def _days_back(self, until: str, days: int) -> str:
        newest = date.fromisoformat(self._ledger.quality_newest_day(before=until) or until)
        return date.fromordinal(max(1, newest.toordinal() - days + 1)).isoformat()

    def _lines(self, by: Grouping, since: str, until: str, state: QualityState, now: datetime) -> list[QualityGroup]:
        promises = cache(lambda version: promise_of(report_of(self._model_dir, version), k=state.k))
        return summarise(
            self._ledger.quality_cells(DIMENSION_OF[by], since=since, until=until),
            by,
            delay_s=state.delay.delay_s,
            now=now,
            promises=promises,
            versions=self._ledger.quality_cells("model_version", since=since, until=until),
        )


def shown(state: QualityState | None, line: QualityGroup | None) -> dict[str, Any]:
    """The part of `GET /metrics` about live quality: what is matured, what is provisional, what is estimated."""
    if state is None or line is None:
        return {"status": "no decisions have been rolled up yet"}
    return {
        "days": RECENT_DAYS,
        "label_delay_s": state.delay.delay_s,
        "label_delay_is_learned": state.delay.is_learned,
        "matured": _part(line.matured),
        "provisional": _part(line.provisional),
        "provisional_estimate": _figures(line.estimate) if line.estimate else None,
        "below_promise": [name for name, item in line.promise.items() if item.is_below_promise],
    }


def _part(part: Part | None) -> dict[str, Any] | None:
    if part is None:
        return None
    return {"decisions": part.decisions, "frauds": part.frauds, **_figures(part.measures)}


def _figures(measures: Mapping[str, Figure | None]) -> dict[str, Any]:
    return {name: msgspec.to_builtins(measures.get(name)) for name in MEASURES}
