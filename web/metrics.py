"""What a web process counts, for Prometheus. Cheap enough for the hot path: 2 us a request, 6 with files.

Children (label combinations) are made at start, so every series is exported from the first scrape, as 0.
With a `directory` the values live in memory-mapped files there, one set per process, and `exposition` adds
them up.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

import prometheus_client.values
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from config.errors import BrokerUnavailable, LedgerUnavailable, Overloaded
from config.pids import is_alive
from web.pulse import RequestPulse

Stage = Literal["coalescer_wait", "round_trip"]
STAGES: Final[tuple[Stage, ...]] = ("coalescer_wait", "round_trip")
LateOutcome = Literal["poll", "refuse", "rules", "rules_overloaded"]
LATE_OUTCOMES: Final[tuple[LateOutcome, ...]] = ("poll", "refuse", "rules", "rules_overloaded")
REFUSALS: Final = (Overloaded.code, BrokerUnavailable.code, LedgerUnavailable.code)

LATENCY_BUCKETS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
BATCH_BUCKETS_ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
PREDICT_STATUSES: Final = (200, 202, 409, 413, 415, 422, 500, 503)


class WebMetrics:
    """The counters of one web process. Label values come from the code, never from a client."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        self.pulse = RequestPulse()
        self.registry = CollectorRegistry()
        if directory is not None:
            _map_values_into(directory)
        self._requests = self._counter("requests", "HTTP requests answered.", "endpoint", "status")
        self._latency = self._histogram(
            "request_latency_seconds", "Time to answer a request.", LATENCY_BUCKETS_S, "endpoint"
        )
        self._counts: dict[tuple[str, int], Counter] = {}
        self._latencies: dict[str, Histogram] = {}
        self._stages = self._children(
            self._histogram("stage_latency_seconds", "Time spent per stage.", LATENCY_BUCKETS_S, "stage"),
            STAGES,
        )
        self._batch_rows = self._histogram("batch_rows", "Transactions per batch sent.", BATCH_BUCKETS_ROWS)
        self._late = self._children(
            self._counter("late", "Synchronous requests without a score in time, by what they became.", "outcome"),
            LATE_OUTCOMES,
        )
        self._refused = self._children(self._counter("refused", "Transactions refused with 503.", "reason"), REFUSALS)

    def declare_endpoints(self, endpoints: Iterable[str]) -> None:
        """Export these routes from now on, as 0, with the statuses that are expected of them."""
        for endpoint in endpoints:
            self._latencies[endpoint] = self._latency.labels(endpoint)
            for status in PREDICT_STATUSES if endpoint == "/predict" else (200,):
                self._counts[endpoint, status] = self._requests.labels(endpoint, str(status))

    def observe_request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request. `endpoint` is one that was declared."""
        counter = self._counts.get((endpoint, status))
        if counter is None:
            counter = self._counts[endpoint, status] = self._requests.labels(endpoint, str(status))
        counter.inc()
        self._latencies[endpoint].observe(seconds)

    def observe_answered_batch(self, rows: int, waited_s: float, round_trip_s: float) -> None:
        """Record one batch that came back: its size, its oldest row's wait to be sent, the time until the answer."""
        self._batch_rows.observe(rows)
        self._stages["coalescer_wait"].observe(waited_s)
        self._stages["round_trip"].observe(round_trip_s)

    def count_late(self, outcome: LateOutcome) -> None:
        """Count a synchronous request whose deadline passed, or that was decided without being asked for a score."""
        self._late[outcome].inc()

    def count_refused(self, reason: str) -> None:
        """Count a transaction that was not accepted; `reason` is one of `REFUSALS`."""
        self._refused[reason].inc()

    def exposition(self, accept: str, *extra: Collector) -> tuple[bytes, str]:
        """Everything in the text format that `accept` asks for, and its content type.

        Sums over all web processes; `extra` collectors are read once, for this scrape.
        """
        registry = self.registry
        if self.directory is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=str(self.directory))  # type: ignore[no-untyped-call]
        encode, content_type = choose_encoder(accept)
        parts = CollectorRegistry()
        for collector in (_Registered(registry), *extra):
            parts.register(collector)
        return encode(parts), content_type

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"tollgate_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return Histogram(f"tollgate_{name}", help_text, labels, registry=self.registry, buckets=tuple(buckets))

    @staticmethod
    def _children(metric: Any, values: Iterable[str]) -> dict[str, Any]:
        return {value: metric.labels(value) for value in values}


class _Registered(Collector):
    """A registry seen as one collector of another."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Any:
        return self._registry.collect()

    def describe(self) -> Any:
        return []


def _map_values_into(directory: Path) -> None:
    """Keep values in files: prometheus_client decides that when imported, so it is told again here."""
    directory.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue()  # type: ignore[no-untyped-call]


def own_directory(parent: Path) -> Path:
    """Where the processes of this server keep their counters: a directory per server, named by its id.

    A process that is replaced finds the counts of the one before it; those of servers that are gone are
    removed.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for other in parent.iterdir():
        if other.name.isdigit() and not is_alive(int(other.name)):
            shutil.rmtree(other, ignore_errors=True)
    return parent / str(os.getppid())
