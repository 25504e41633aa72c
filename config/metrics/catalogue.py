"""Every metric of Tollgate, once. docs/metrics.md is written from this, and alerts and dashboards are checked by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.metrics import drift, models, quality, shared, web, workers
from config.metrics.metric import Metric

CATALOGUE: Final[tuple[Metric, ...]] = (
    *web.METRICS,
    *workers.METRICS,
    *shared.METRICS,
    *models.METRICS,
    *drift.METRICS,
    *quality.METRICS,
)


def series_names(metric: Metric) -> Iterator[str]:
    """The names under which Prometheus stores a metric: three for a histogram."""
    if metric.kind == "histogram":
        yield from (f"{metric.name}_bucket", f"{metric.name}_sum", f"{metric.name}_count")
    else:
        yield metric.name
