"""What the ledger knows, for Prometheus: live quality of the last 28 days, what is matured apart from what is
provisional; the fraud rate of the newest decisions; when the last label came.

Bounded: measures, maturities and bounds are fixed words. Where nothing is known yet a gauge is 0, and
`tollgate_quality_decisions` says that it rests on nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from config.errors import TollgateError
from config.metrics import quality as declared
from config.metrics.build import gauge_family
from config.quality_measures import PROMISED, RATIOS
from ml.ledger.pulse import LedgerPulse
from ml.quality.cells import QualityState
from ml.quality.ratio import Figure
from ml.quality.summary import QualityGroup
from web.ports.ledger import DecisionLedger
from web.quality import LiveQuality
from web.shared_metrics import single

_Figures = Mapping[str, Figure | None]


@dataclass(frozen=True, slots=True)
class LedgerReading:
    """What the ledger knows at one moment; all None while it is down."""

    pulse: LedgerPulse | None = None
    state: QualityState | None = None
    line: QualityGroup | None = None


def read_ledger(ledger: DecisionLedger, quality: LiveQuality, *, now: datetime) -> LedgerReading:
    """Read it once. Raises nothing: a ledger that is down must not hide the rest of the scrape."""
    try:
        return LedgerReading(ledger.pulse(), *quality.recent(now=now))
    except TollgateError:
        return LedgerReading()


class LedgerGauges(Collector):
    """One reading as gauges."""

    def __init__(self, reading: LedgerReading) -> None:
        self._reading = reading

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge of `config.metrics.quality`."""
        yield from _pulse(self._reading.pulse)
        line = self._reading.line
        figures = _figures(line)
        yield _ratios(figures)
        yield _costs(figures)
        yield from _counts(line)
        yield _promises(line)
        yield from _about(self._reading.state)


def _pulse(pulse: LedgerPulse | None) -> Iterator[GaugeMetricFamily]:
    last_label_at = pulse.last_label_at if pulse else None
    yield single(declared.LEDGER_UP, pulse is not None)
    yield single(declared.FRAUD_RATE, pulse.fraud_rate if pulse else 0.0)
    yield single(declared.LAST_LABEL, last_label_at.timestamp() if last_label_at else 0.0)


def _figures(line: QualityGroup | None) -> dict[str, _Figures]:
    if line is None:
        return {}
    return {
        "matured": line.matured.measures if line.matured else {},
        "provisional": line.provisional.measures if line.provisional else {},
        "estimate": line.estimate or {},
    }


def _ratios(figures: Mapping[str, _Figures]) -> GaugeMetricFamily:
    family = gauge_family(declared.RATIO)
    for measure in RATIOS:
        _add(family, figures, measure, [measure])
    return family


def _costs(figures: Mapping[str, _Figures]) -> GaugeMetricFamily:
    family = gauge_family(declared.COST)
    _add(family, figures, "cost", [])
    return family


def _add(family: GaugeMetricFamily, figures: Mapping[str, _Figures], measure: str, labels: list[str]) -> None:
    for maturity in declared.MATURITIES:
        figure = figures.get(maturity, {}).get(measure)
        for bound in declared.BOUNDS:
            family.add_metric([*labels, maturity, bound], getattr(figure, bound) if figure else 0.0)


def _counts(line: QualityGroup | None) -> Iterator[GaugeMetricFamily]:
    decisions, frauds = gauge_family(declared.DECISIONS), gauge_family(declared.FRAUDS)
    for maturity, part in (
        ("matured", line.matured if line else None),
        ("provisional", line.provisional if line else None),
    ):
        decisions.add_metric([maturity], part.decisions if part else 0)
        frauds.add_metric([maturity], part.frauds if part else 0)
    yield from (decisions, frauds)


def _promises(line: QualityGroup | None) -> GaugeMetricFamily:
    family = gauge_family(declared.BELOW_PROMISE)
    for measure in PROMISED:
        compared = line.promise.get(measure) if line else None
        family.add_metric([measure], 1.0 if compared and compared.is_below_promise else 0.0)
    return family


def _about(state: QualityState | None) -> Iterator[GaugeMetricFamily]:
    yield single(declared.LABEL_DELAY, state.delay.delay_s if state else 0.0)
    yield single(declared.ROLLED_UP, state.rolled_at.timestamp() if state else 0.0)
