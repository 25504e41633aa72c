"""The part of GET /prometheus that only the shared state knows: queues, journal, inbox, workers, champion.

Read from the gateway at each scrape. When the broker is down the series stay, as 0, and
`tollgate_broker_up` is 0.
"""

from __future__ import annotations

from collections import Counter as CountOf
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from config import names
from config.errors import TollgateError
from web.ports import Health, ScoringGateway


@dataclass(frozen=True, slots=True)
class SharedGauge:
    """A gauge filled from `ScoringGateway.queue_stats` and, their names after `drift_`, `drift_stats`.

    `keys`: label value -> key of the statistics.
    """

    name: str
    help_text: str
    keys: Mapping[str, str]
    label: str | None = None


DRIFT_OF_FEATURE: Final = "drift_psi:"

SHARED_GAUGES: Final = (
    SharedGauge(
        "tollgate_queue_depth",
        "Messages waiting in a queue.",
        {queue: f"queue_depth_{queue}" for queue in names.QUEUES},
        label="queue",
    ),
    SharedGauge(
        "tollgate_queue_oldest_age_seconds",
        "Since the message that is consumed next was pushed, 0 for an empty queue.",
        {queue: f"queue_oldest_age_s_{queue}" for queue in names.QUEUES},
        label="queue",
    ),
    SharedGauge("tollgate_journal_entries", "Decisions on their way to the ledger.", {"": "journal_length"}),
    SharedGauge(
        "tollgate_journal_bulk_chunks", "Chunks of batches on their way to the ledger.", {"": "journal_bulk_chunks"}
    ),
    SharedGauge(
        "tollgate_journal_refused", "Entries that the ledger's database refused for good.", {"": "journal_refused"}
    ),
    SharedGauge("tollgate_inbox_entries", "Accepted transactions without a decision.", {"": "inbox_entries"}),
    SharedGauge("tollgate_dead_letters", "Accepted work given up after its attempts.", {"": "dead_letters"}),
    SharedGauge(
        "tollgate_drift_checked_at_seconds",
        "Unix time of the last drift check, 0 before the first.",
        {"": "drift_checked_at_s"},
    ),
    SharedGauge("tollgate_drift_rows", "Decisions that the last drift check compared.", {"": "drift_rows"}),
    SharedGauge(
        "tollgate_drift_score_psi",
        "Population stability index of the score at the last check.",
        {"": "drift_score_psi"},
    ),
    SharedGauge(
        "tollgate_drift_features_drifting",
        "Columns whose distribution drifts, at the last check.",
        {"": "drift_columns_drifting"},
    ),
    SharedGauge(
        "tollgate_drift_quality_features",
        "Columns with more missing, unknown or out-of-range values than in training, at the last check.",
        {"": "drift_columns_quality"},
    ),
    SharedGauge(
        "tollgate_drift_strong",
        "1 when the last check found enough to ask for a challenger, if the next one does too.",
        {"": "drift_is_strong"},
    ),
    SharedGauge(
        "tollgate_coalescer_waiting",
        "Transactions waiting for a batch in the web process that answered this scrape.",
        {"": "coalescer_waiting"},
    ),
    SharedGauge(
        "tollgate_batches_in_flight",
        "Batches sent and not answered, of the web process that answered this scrape.",
        {"": "batches_in_flight"},
    ),
)


class SharedState(Collector):
    """Reads the gateway once per scrape."""

    def __init__(self, gateway: ScoringGateway) -> None:
        self._gateway = gateway

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges above, then those about the workers."""
        try:
            drift = self._gateway.drift_stats()
            stats = self._gateway.queue_stats() | {f"drift_{name}": value for name, value in drift.items()}
        except TollgateError:
            # The scrape must say that the broker is down, so it cannot fail because of it.
            stats = {}
        for gauge in SHARED_GAUGES:
            yield _filled(gauge, stats)
        yield _drift_by_feature(stats)
        yield from _about_workers(self._gateway.health())


def _filled(gauge: SharedGauge, stats: Mapping[str, float]) -> GaugeMetricFamily:
    labels = [gauge.label] if gauge.label else []
    family = GaugeMetricFamily(gauge.name, gauge.help_text, labels=labels)
    for value, key in gauge.keys.items():
        family.add_metric([value] if gauge.label else [], stats.get(key, 0.0))
    return family


def _drift_by_feature(stats: Mapping[str, float]) -> GaugeMetricFamily:
    """At most ten series: findings of the last check first, then the columns least likely by chance."""
    family = GaugeMetricFamily(
        "tollgate_drift_feature_psi",
        "Population stability index of the ten columns that are the least likely by chance, at the last check.",
        labels=["feature"],
    )
    for key, value in stats.items():
        if key.startswith(DRIFT_OF_FEATURE):
            family.add_metric([key.removeprefix(DRIFT_OF_FEATURE)], value)
    return family


def _about_workers(health: Health) -> Iterator[GaugeMetricFamily]:
    yield GaugeMetricFamily("tollgate_broker_up", "1 when the broker answers.", value=health.is_broker_up)
    yield GaugeMetricFamily(
        "tollgate_ready", "1 when a warmed scoring worker answered a canary recently.", value=health.is_ready
    )
    yield GaugeMetricFamily(
        "tollgate_canary_age_seconds",
        "Since the last canary that was answered.",
        value=health.canary_age_s or 0.0,
    )
    workers = GaugeMetricFamily(
        "tollgate_workers",
        "Workers that report, by role and model version.",
        labels=["role", "model_version"],
    )
    counted = CountOf((report.role, report.model_version or "none") for report in health.workers)
    for labels, count in (counted or {("scoring", "none"): 0}).items():
        workers.add_metric(list(labels), count)
    yield workers
    champion = GaugeMetricFamily(
        "tollgate_champion_info", "1 for the champion's model version.", labels=["model_version"]
    )
    champion.add_metric([health.model_version or "none"], 1.0 if health.model_version else 0.0)
    yield champion


class WorkerFiles(Collector):
    """What worker processes on this machine counted, from the files that they share with the web side.

    Workers in containers of their own are scraped there instead (TOLLGATE_WORKER_METRICS_PORT).
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterator[Metric]:
        """The sums over all worker processes; nothing where none has run."""
        if self._directory.is_dir():
            yield from MultiProcessCollector(CollectorRegistry(), path=str(self._directory)).collect()  # type: ignore[no-untyped-call]

    def describe(self) -> Iterator[Metric]:
        """Nothing: what there is depends on the files."""
        return iter(())
