"""What a web process counts, for Prometheus. Cheap enough for the hot path: 1.5 us a request, 4 with files.

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
from prometheus_client.registry import Collector

from config.metrics import web as declared
from config.metrics.build import counter, histogram
from config.metrics.metric import Metric
from config.pids import is_alive
from web.counted_files import CountedFiles
from web.pulse import RequestPulse

LateOutcome = Literal["poll", "refuse", "rules", "rules_overloaded"]
PREDICT_STATUSES: Final = (200, 202, 408, 409, 413, 415, 422, 429, 500, 503)


class WebMetrics:
    """The counters of one web process. Label values come from the code, never from a client."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        self.pulse = RequestPulse()
        self.registry = CollectorRegistry()
        if directory is not None:
            _map_values_into(directory)
        self._requests = counter(declared.REQUESTS, self.registry)
        self._latency = histogram(declared.REQUEST_LATENCY, self.registry)
        self._counts: dict[tuple[str, int], Counter] = {}
        self._latencies: dict[str, Histogram] = {}
        self._batch_rows = histogram(declared.BATCH_ROWS, self.registry)
        self._stages = _children(histogram(declared.STAGE_LATENCY, self.registry), declared.STAGE_LATENCY)
        self._late = _children(counter(declared.LATE, self.registry), declared.LATE)
        self._refused = _children(counter(declared.REFUSED, self.registry), declared.REFUSED)
        self._auth_refused = _children(counter(declared.AUTH_REFUSED, self.registry), declared.AUTH_REFUSED)
        self._sign_ins = _children(counter(declared.SIGN_INS, self.registry), declared.SIGN_INS)
        self._key_reads = _children(counter(declared.KEY_READS, self.registry), declared.KEY_READS)
        self._limited = _children(counter(declared.LIMITED, self.registry), declared.LIMITED)
        self._limits_skipped = counter(declared.LIMITS_SKIPPED, self.registry)
        self._read = self._stages["web"]

    def declare_endpoints(self, endpoints: Iterable[str]) -> None:
        """Export these routes from now on, as 0, with the statuses that are expected of them."""
        for endpoint in endpoints:
            self._latencies[endpoint] = self._latency.labels(endpoint)
            for status in PREDICT_STATUSES if endpoint == "/predict" else (200,):
                self._counts[endpoint, status] = self._requests.labels(endpoint, str(status))

    def observe_request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request. `endpoint` is one that was declared."""
        counted = self._counts.get((endpoint, status))
        if counted is None:
            counted = self._counts[endpoint, status] = self._requests.labels(endpoint, str(status))
        counted.inc()
        self._latencies[endpoint].observe(seconds)

    def observe_read(self, seconds: float) -> None:
        """Record how long one payment took to be read and checked: the stage `web`."""
        self._read.observe(seconds)

    def observe_answered_batch(self, rows: int, waited_s: float, round_trip_s: float, reply_s: float) -> None:
        """Record one batch that came back: its size, its oldest row's wait to be sent, the time until the answer was
        there, and until everybody was told."""
        self._batch_rows.observe(rows)
        self._stages["coalescer_wait"].observe(waited_s)
        self._stages["round_trip"].observe(round_trip_s)
        self._stages["reply"].observe(reply_s)

    def count_late(self, outcome: LateOutcome) -> None:
        """Count a synchronous request whose deadline passed, or that was decided without being asked for a score."""
        self._late[outcome].inc()

    def count_refused(self, reason: str) -> None:
        """Count a transaction that was not accepted; `reason` is one of those declared."""
        self._refused[reason].inc()

    def count_auth_refused(self, reason: str) -> None:
        """Count a request that was not let in; `reason` is one of those declared."""
        self._auth_refused[reason].inc()

    def count_sign_in(self, outcome: str) -> None:
        """Count somebody who signs in to the console, or does not; `outcome` is one of those declared."""
        self._sign_ins[outcome].inc()

    def count_key_read(self, outcome: Literal["read", "failed"]) -> None:
        """Count a reading of the table of API keys."""
        self._key_reads[outcome].inc()

    def count_limited(self, budget: str) -> None:
        """Count a request that was refused because `budget` was used up."""
        self._limited[budget].inc()

    def count_limits_skipped(self) -> None:
        """Count that requests were let through because nobody could count them."""
        self._limits_skipped.inc()

    def exposition(self, accept: str, *extra: Collector) -> tuple[bytes, str]:
        """Everything in the text format that `accept` asks for, and its content type.

        Sums over all web processes; `extra` collectors are read once, for this scrape.
        """
        registry = self.registry
        if self.directory is not None:
            registry = CollectorRegistry()
            registry.register(CountedFiles(self.directory))
        encode, content_type = choose_encoder(accept)
        parts = CollectorRegistry()
        for collector in (_Registered(registry), *extra):
            parts.register(collector)
        return encode(parts), content_type


def _children(made: Any, metric: Metric) -> dict[str, Any]:
    return {value: made.labels(value) for (value,) in metric.declared()}


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
