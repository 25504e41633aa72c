"""The drift check on beat: newest decisions against the champion's reference, a report, its picture, its metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import redis
import structlog
from celery import shared_task

from config import names
from config.blobs.choice import blobs_of
from config.contracts import ChampionPointer
from config.errors import BundleRefused
from config.queue.blobs import drift_picture
from config.settings import Settings
from ml.drift.report import DriftReport
from ml.ledger import Ledger
from ml.ledger.drift_reports import StoredDriftReport
from ml.registry import read_champion
from workers.background import BackgroundRuntime, background_runtime
from workers.challenger import ask_for_challenger
from workers.ticks import is_superseded

log = structlog.get_logger(__name__)

KEEP_REPORTS = 500
COLUMNS_EXPORTED = 10
"""Columns whose index is exported: findings first. More would be a series per column and schema."""


@shared_task(name=names.TASK_CHECK_DRIFT, ignore_result=True, acks_late=True, soft_time_limit=120, time_limit=180)
def check_drift() -> None:
    """Check once. Repeating does no harm: one more report."""
    runtime = background_runtime()
    if is_superseded(runtime.client):
        return
    champion = read_champion(runtime.client)
    if champion is not None:
        run_check(runtime, champion, now=datetime.now(UTC))


def run_check(runtime: BackgroundRuntime, champion: ChampionPointer, *, now: datetime) -> int | None:
    """One check of what the champion decided until `now`. Returns the report's id.

    None when nothing could be compared for the same reason as last time: then only the metrics are renewed.

    Raises LedgerUnavailable, RedisError.
    """
    report = examine(runtime, champion, now=now)
    newest = runtime.ledger.drift_reports(KEEP_REPORTS)
    publish(runtime.client, report, now)
    if report.score is None and newest and _says_the_same(newest[0].report, report):
        return None
    has_asked = _asks(runtime, report, newest, now)
    report_id = runtime.ledger.store_drift_report(report, now=now, has_asked=has_asked)
    log.info("drift_checked", report=report_id, status=report.status, rows=report.rows, detail=report.detail)
    _draw(runtime.settings, report, report_id)
    _forget(runtime.settings, runtime.ledger)
    return report_id


def examine(runtime: BackgroundRuntime, champion: ChampionPointer, *, now: datetime) -> DriftReport:
    """Compare the champion's decisions of the last window with its reference. Stores nothing."""
    # Here and not above: a background worker that never checks must not pay for scipy.
    from ml.drift.check import check_drift as compare
    from ml.drift.reference import load_reference
    from ml.drift.window import read_window

    settings = runtime.settings
    since = now - timedelta(seconds=settings.drift_window_s)
    window, about = read_window(
        runtime.ledger,
        runtime.spec,
        model_version=champion.model_version,
        model_digest=champion.digest,
        since=since,
        until=now,
    )
    try:
        reference = load_reference(settings.model_dir / champion.path, champion.digest)
    except BundleRefused as error:
        return msgspec.structs.replace(about, status="no model", detail=error.detail)
    if reference is None:
        why = "this bundle was trained before references were kept: train a challenger to compare with"
        return msgspec.structs.replace(about, status="no reference", detail=why)
    return compare(reference, window, about)


def publish(client: redis.Redis, report: DriftReport, now: datetime) -> None:
    """Renew the numbers that GET /prometheus shows. Raises RedisError."""
    shown: dict[str | bytes, str | bytes | int | float] = {
        "checked_at_s": now.timestamp(),
        "rows": report.rows,
        "columns_drifting": len(report.drifting),
        "columns_quality": sum(bool(set(c.findings) - {"distribution"}) for c in report.columns),
        "is_strong": int(report.status == "strong"),
        "score_psi": 0.0 if report.score is None else report.score.psi,
    }
    shown |= {f"psi:{column.name}": column.psi for column in report.columns[:COLUMNS_EXPORTED]}
    with client.pipeline(transaction=True) as pipe:
        pipe.delete(names.DRIFT)
        pipe.hset(names.DRIFT, mapping=shown)  # type: ignore[arg-type]
        pipe.execute()


def _says_the_same(one: DriftReport, other: DriftReport) -> bool:
    return (one.status, one.model_digest) == (other.status, other.model_digest)


def _asks(runtime: BackgroundRuntime, report: DriftReport, newest: list[StoredDriftReport], now: datetime) -> bool:
    from ml.drift.asking import should_ask

    window = timedelta(seconds=runtime.settings.drift_window_s)
    if report.status != "strong" or not should_ask(report.model_digest, newest, not_since=now - window):
        return False
    return ask_for_challenger(runtime.app, runtime.client)


def _draw(settings: Settings, report: DriftReport, report_id: int) -> None:
    """The picture appears whole; a report without comparison has none."""
    if report.score is None:
        return
    # Here and not above: matplotlib costs half a second and 40 MB that only a check needs.
    from ml.drift.picture import plot_drift

    with drift_picture(blobs_of(settings), report_id).written() as file:
        file.write(plot_drift(report))


def _forget(settings: Settings, ledger: Ledger) -> None:
    blobs = blobs_of(settings)
    for report_id in ledger.forget_drift_reports(keep=KEEP_REPORTS):
        drift_picture(blobs, report_id).remove()
