"""What the roll-up keeps: one cell per day of event time and model version, segment, or all. Plain Python.

Cells add up: a week, a model version over a month, a segment since March are sums of days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from ml.quality.ratio import Ratio

Dimension = Literal["all", "model_version", "segment"]
Ratios = dict[str, Ratio]
DAY: Final = timedelta(days=1)


class JudgedDecision(NamedTuple):
    """A decision with the label that counts now, as the ledger reads it.

    `is_fraud`: None without a label. `propensity`: the chance with which this action was taken: below 1 where some
    declines are let through to learn from them. `is_listed`: a block or allow list decided, not the score.
    """

    event_time_s: float
    probability: float
    action: str
    amount: float | None
    model_version: str
    segment: str | None
    account: str | None
    is_fraud: bool | None
    propensity: float = 1.0
    is_listed: bool = False


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions of one day (UTC, by event time) that share a `value` of a dimension ("" for all).

    `labelled`: decisions with a label; `frauds`: those whose label says fraud; `explored`: declines let through to
    learn from. `measures`: what is known so far, decisions without a label taken for genuine. `estimates`: the same
    with each known fraud counted for those whose label is still on its way; None where it is too early to say.
    """

    day: str
    dimension: Dimension
    value: str
    decisions: int
    labelled: int
    frauds: int
    fraud_amount: float
    explored: int
    measures: Ratios
    estimates: Ratios | None = None


class LabelDelay(msgspec.Struct, frozen=True):
    """How long after its transaction a fraud's label is there, in seconds.

    `is_learned`: the 95th percentile of `labels` fraud labels; else the setting `label_delay_s`.
    """

    delay_s: float
    is_learned: bool
    labels: int


class QualityState(msgspec.Struct, frozen=True):
    """When the cells were last rolled up, the label delay at that time, and the k of precision at k."""

    rolled_at: datetime
    delay: LabelDelay
    k: int


def day_of(moment: datetime) -> str:
    """The UTC day of a moment: `2026-03-01`."""
    return moment.astimezone(UTC).date().isoformat()


def start_of(day: str) -> datetime:
    """The first moment of a day."""
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)


def end_of(day: str) -> datetime:
    """The first moment after a day; after the last day of the calendar, its last moment."""
    try:
        return start_of(day) + DAY
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def is_matured(day: str, delay_s: float, now: datetime) -> bool:
    """The label of the day's last transaction would be there by now."""
    return (now - end_of(day)).total_seconds() >= delay_s


def add_ratios(many: Iterable[Mapping[str, Ratio]]) -> Ratios:
    """Sums by measure; a measure that only some have is summed over those."""
    total: Ratios = {}
    for ratios in many:
        for name, ratio in ratios.items():
            total[name] = total[name] + ratio if name in total else ratio
    return total
