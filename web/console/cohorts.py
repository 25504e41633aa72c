"""Live quality by day or week as curves: what is known with its interval, what is estimated, what was promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ml.quality.ratio import Figure
from ml.quality.summary import Grouping, Part, QualityGroup


class Chart(NamedTuple):
    """One measure as a chart. `is_money`: no share of anything."""

    measure: str
    title: str
    note: str
    is_money: bool = False


CHARTS: Final = (
    Chart("precision", "Precision", "share of alerts that were fraud"),
    Chart("recall", "Recall", "share of fraud that was alerted"),
    Chart("fraud_rate", "Fraud rate", "share of payments that were fraud"),
    Chart("cost", "Cost", "per payment, gains negative", is_money=True),
)


def has_time(by: Grouping) -> bool:
    """Whether the lines follow one another in time."""
    return by in ("day", "week")


def cohort_curves(groups: Sequence[QualityGroup]) -> dict[str, Any]:
    """`at_s`: Unix seconds of each group's first day. `provisional_from_s`: from there on labels are still arriving.

    `measures`: by name the columns value, low, high (matured, else as known so far), estimate, promised; None: unknown.
    """
    at_s = [_seconds(group.group) for group in groups]
    young = [at for at, group in zip(at_s, groups, strict=True) if group.maturity != "matured"]
    return {
        "at_s": at_s,
        "provisional_from_s": min(young, default=None),
        "measures": {chart.measure: _columns(groups, chart.measure) for chart in CHARTS},
    }


def known_part(group: QualityGroup) -> Part | None:
    """What is matured, else what is known so far."""
    return group.matured or group.provisional


def _columns(groups: Sequence[QualityGroup], measure: str) -> dict[str, list[float | None]]:
    known = [_figure(part.measures, measure) if (part := known_part(group)) else None for group in groups]
    estimates = [_figure(group.estimate or {}, measure) for group in groups]
    promised = [group.promise[measure].promised if measure in group.promise else None for group in groups]
    return {
        "value": [one.value if one else None for one in known],
        "low": [one.low if one else None for one in known],
        "high": [one.high if one else None for one in known],
        "estimate": [one.value if one else None for one in estimates],
        "promised": [one.value if one else None for one in promised],
    }


def _figure(measures: Mapping[str, Figure | None], name: str) -> Figure | None:
    return measures.get(name)


def _seconds(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
