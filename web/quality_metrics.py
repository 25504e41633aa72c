"""Live quality for Prometheus: the last 28 days, what is matured apart from what is provisional.

Bounded: measures, maturities and bounds are fixed words. Where nothing is known yet a gauge is 0, and
`tollgate_quality_decisions` says that it rests on nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from config.errors import TollgateError
from ml.quality.cells import MEASURES, QualityState
from ml.quality.promise import BETTER_WHEN_HIGHER, BETTER_WHEN_LOWER
from ml.quality.ratio import Figure
from ml.quality.summary import QualityGroup
from web.quality import LiveQuality

MATURITIES: Final = ("matured", "provisional", "estimate")
_BOUNDS: Final = ("value", "low", "high")
_Figures = Mapping[str, Figure | None]


class QualityGauges(Collector):
    """Reads the roll-up once per scrape."""

    def __init__(self, quality: LiveQuality, *, now: datetime) -> None:
        self._quality = quality
        self._now = now

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; all 0 while the ledger is down, which must not hide the rest of the scrape."""
        try:
            state, line = self._quality.recent(now=self._now)
        except TollgateError:
            state, line = None, None
        figures = _figures(line)
        yield _ratios(figures)
        yield _costs(figures)
        yield from _counts(line)
        yield _promises(line)
        yield from _about(state)


def _figures(line: QualityGroup | None) -> dict[str, _Figures]:
    if line is None:
        return {}
    return {
        "matured": line.matured.measures if line.matured else {},
        "provisional": line.provisional.measures if line.provisional else {},
        "estimate": line.estimate or {},
    }


def _ratios(figures: Mapping[str, _Figures]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "tollgate_quality_ratio",
        "Live quality of the last 28 days, by measure; value and 95% bounds.",
        labels=["measure", "maturity", "bound"],
    )
    for measure in MEASURES:
        if measure != "cost":
            _add(family, figures, measure, [measure])
    return family


def _costs(figures: Mapping[str, _Figures]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "tollgate_quality_cost_per_payment",
        "What a decision cost on average in the last 28 days, gains negative; value and 95% bounds.",
        labels=["maturity", "bound"],
    )
    _add(family, figures, "cost", [])
    return family


def _add(family: GaugeMetricFamily, figures: Mapping[str, _Figures], measure: str, labels: list[str]) -> None:
    for maturity in MATURITIES:
        figure = figures.get(maturity, {}).get(measure)
        for bound in _BOUNDS:
            family.add_metric([*labels, maturity, bound], getattr(figure, bound) if figure else 0.0)


def _counts(line: QualityGroup | None) -> Iterator[GaugeMetricFamily]:
    decisions = GaugeMetricFamily(
        "tollgate_quality_decisions", "Decisions of the last 28 days, by maturity.", labels=["maturity"]
    )
    frauds = GaugeMetricFamily(
        "tollgate_quality_frauds", "Known frauds among these decisions, by maturity.", labels=["maturity"]
    )
    for maturity, part in (
        ("matured", line.matured if line else None),
        ("provisional", line.provisional if line else None),
    ):
        decisions.add_metric([maturity], part.decisions if part else 0)
        frauds.add_metric([maturity], part.frauds if part else 0)
    yield from (decisions, frauds)


def _promises(line: QualityGroup | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "tollgate_quality_below_promise",
        "1 when a matured figure lies below what the model promised in training, both intervals considered.",
        labels=["measure"],
    )
    for measure in (*BETTER_WHEN_HIGHER, *BETTER_WHEN_LOWER):
        compared = line.promise.get(measure) if line else None
        family.add_metric([measure], 1.0 if compared and compared.is_below_promise else 0.0)
    return family


def _about(state: QualityState | None) -> Iterator[GaugeMetricFamily]:
    yield GaugeMetricFamily(
        "tollgate_quality_label_delay_seconds",
        "Age at which a decision counts as matured.",
        value=state.delay.delay_s if state else 0.0,
    )
    yield GaugeMetricFamily(
        "tollgate_quality_rolled_up_timestamp_seconds",
        "When live quality was last rolled up; 0 before the first time.",
        value=state.rolled_at.timestamp() if state else 0.0,
    )
