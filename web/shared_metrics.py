"""The part of GET /prometheus that only the shared state knows: queues, journal, inbox, drift, workers, champion.

When the broker is down the series stay, as 0, and `tollgate_shared_state_up` and `tollgate_broker_up` are 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from config.errors import TollgateError
from config.metrics import drift, shared
from config.metrics.build import gauge_family
from config.metrics.metric import NOTHING, Metric
from config.metrics.shared import Filled
from web.fleet_metrics import about_fleet
from web.ports.gateway import Health, ScoringGateway

_DRIFT_OF_FEATURE: Final = "psi:"


@dataclass(frozen=True, slots=True)
class SharedReading:
    """The shared state at one moment. `is_read`: False where the broker did not answer; then the numbers are empty."""

    health: Health
    is_read: bool
    queues: Mapping[str, float]
    drift: Mapping[str, float]


def read_shared(gateway: ScoringGateway) -> SharedReading:
    """Read the gateway once, without waiting for a canary: scrapes are on time while workers are away.

    Raises nothing: a scrape must say that the broker is down, so it cannot fail by that.
    """
    health = gateway.health(wait=False)
    try:
        return SharedReading(health, True, gateway.queue_stats(), gateway.drift_stats())
    except TollgateError:
        return SharedReading(health, False, {}, {})


class SharedState(Collector):
    """One reading as gauges."""

    def __init__(self, reading: SharedReading) -> None:
        self._reading = reading

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge of `config.metrics` that is read from the shared state."""
        reading = self._reading
        yield single(shared.SHARED_STATE_UP, reading.is_read)
        yield single(shared.BROKER_UP, reading.health.is_broker_up)
        for gauge in shared.QUEUE_GAUGES:
            yield _filled(gauge, reading.queues)
        for gauge in drift.DRIFT_GAUGES:
            yield _filled(gauge, reading.drift)
        yield _drift_by_feature(reading.drift)
        yield from about_fleet(reading.health, web_skew_s=reading.queues.get("clock_skew_s", 0.0))


def single(metric: Metric, value: float) -> GaugeMetricFamily:
    """A gauge without labels."""
    return GaugeMetricFamily(metric.name, metric.help_text, value=value)


def _filled(gauge: Filled, stats: Mapping[str, float]) -> GaugeMetricFamily:
    family = gauge_family(gauge.metric)
    for value, key in gauge.keys.items():
        family.add_metric([value] if value else [], stats.get(key, 0.0))
    return family


def _drift_by_feature(stats: Mapping[str, float]) -> GaugeMetricFamily:
    """At most ten series: findings of the last check first, then the columns least likely by chance.

    Before the first check `none`, as 0: a series that is not there looks like a scrape that failed.
    """
    family = gauge_family(drift.FEATURE_PSI)
    by_feature = [(key, value) for key, value in stats.items() if key.startswith(_DRIFT_OF_FEATURE)]
    for key, value in by_feature[: drift.FEATURES_MOST] or [(NOTHING, 0.0)]:
        family.add_metric([key.removeprefix(_DRIFT_OF_FEATURE)], value)
    return family
