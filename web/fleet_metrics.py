"""What the workers' heartbeats say, as gauges. However many workers and versions there are, the series are bounded."""

from __future__ import annotations

from collections import Counter as CountOf
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from config import names
from config.contracts import WorkerReport
from config.metrics import models
from config.metrics.build import gauge_family
from config.metrics.metric import NOTHING, Metric
from web.ports.gateway import Health

_DIGEST_SHOWN: Final = 12


def about_fleet(health: Health, *, web_skew_s: float) -> Iterator[GaugeMetricFamily]:
    """The gauges. `web_skew_s`: how far the broker's clock is ahead of this web process's."""
    yield _valued(models.READY, health.is_ready)
    yield _valued(models.CANARY_AGE, health.canary_age_s or 0.0)
    yield _workers(health.workers)
    yield _by_status(_with_a_model(health.workers))
    yield _valued(models.MISMATCHED, mismatched(health))
    shown = sorted(health.workers, key=lambda report: report.worker)[: models.WORKERS_MOST]
    yield _versions(_with_a_model(shown))
    yield _champion(health)
    yield _skews(shown, web_skew_s)


def mismatched(health: Health) -> int:
    """How many workers serve another model than the champion."""
    return sum(not _serves(report, health) for report in _with_a_model(health.workers))


def refused(reports: Sequence[WorkerReport]) -> int:
    """How many workers did not take the champion's bundle."""
    return sum(report.status == "refused" for report in _with_a_model(reports))


def _with_a_model(reports: Sequence[WorkerReport]) -> list[WorkerReport]:
    return [report for report in reports if report.role in names.ROLES_WITH_A_MODEL]


def _valued(metric: Metric, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help_text, value=value)


def _workers(reports: Sequence[WorkerReport]) -> GaugeMetricFamily:
    """By role and version; a role of which none reports is 0, so that an alert can see it."""
    kept = {version for version, _ in CountOf(map(_version, reports)).most_common(models.VERSIONS_MOST)}
    counted = CountOf({(role, NOTHING): 0 for role in models.ROLES})
    counted.update((report.role, _version(report) if _version(report) in kept else models.OTHER) for report in reports)
    family = gauge_family(models.WORKERS)
    for labels, count in counted.items():
        family.add_metric(list(labels), count)
    return family


def _version(report: WorkerReport) -> str:
    return report.model_version or NOTHING


def _by_status(reports: Iterable[WorkerReport]) -> GaugeMetricFamily:
    counted = CountOf(report.status if report.status in models.STATUSES else "waiting" for report in reports)
    family = gauge_family(models.MODEL_WORKERS)
    for status in models.STATUSES:
        family.add_metric([status], counted[status])
    return family


def _serves(report: WorkerReport, health: Health) -> bool:
    """Whether a worker serves the champion; one that has no model yet serves no wrong one."""
    if report.digest is None or health.champion is None:
        return True
    return bool(report.digest == health.champion.get("digest", report.digest))


def _versions(reports: Iterable[WorkerReport]) -> GaugeMetricFamily:
    family = gauge_family(models.MODEL_VERSION)
    for report in reports:
        digest = (report.digest or NOTHING)[:_DIGEST_SHOWN]
        family.add_metric([report.worker, report.role, _version(report), digest], 1)
    if not family.samples:
        family.add_metric([NOTHING] * len(models.MODEL_VERSION.label_names), 0)
    return family


def _champion(health: Health) -> GaugeMetricFamily:
    family = gauge_family(models.CHAMPION)
    family.add_metric([health.model_version or NOTHING], 1.0 if health.model_version else 0.0)
    return family


def _skews(reports: Iterable[WorkerReport], web_skew_s: float) -> GaugeMetricFamily:
    family = gauge_family(models.CLOCK_SKEW)
    family.add_metric(["web"], web_skew_s)
    for report in reports:
        family.add_metric([report.worker], report.clock_skew_ms / 1000)
    return family
