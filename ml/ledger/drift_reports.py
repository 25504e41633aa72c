"""Drift reports in the ledger: stored by the background worker, read by web."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection, RowMapping, delete, insert, select

from ml.drift.report import DriftReport
from ml.ledger.tables import drift_reports


class StoredDriftReport(msgspec.Struct, frozen=True):
    """A report as the ledger holds it. `has_asked`: a challenger was asked for because of it."""

    id: int
    created_at: datetime
    has_asked: bool
    report: DriftReport


def insert_report(connection: Connection, report: DriftReport, *, created_at: datetime, has_asked: bool) -> int:
    """Store one report; returns its id."""
    row = {
        "created_at": created_at,
        "model_version": report.model_version,
        "status": report.status,
        "has_asked": has_asked,
        "report": msgspec.to_builtins(report),
    }
    return int(connection.execute(insert(drift_reports).values(row).returning(drift_reports.c.id)).scalar_one())


def newest_reports(connection: Connection, limit: int) -> list[StoredDriftReport]:
    """Newest first."""
    query = select(drift_reports).order_by(drift_reports.c.id.desc()).limit(limit)
    return [_stored(row) for row in connection.execute(query).mappings()]


def report_by_id(connection: Connection, report_id: int) -> StoredDriftReport | None:
    """One report, or None."""
    row = connection.execute(select(drift_reports).where(drift_reports.c.id == report_id)).mappings().first()
    return None if row is None else _stored(row)


def forget_reports(connection: Connection, keep: int) -> list[int]:
    """Delete all but the newest `keep`; returns the ids of what was deleted."""
    old = select(drift_reports.c.id).order_by(drift_reports.c.id.desc()).offset(keep)
    gone = list(connection.execute(old).scalars())
    connection.execute(delete(drift_reports).where(drift_reports.c.id.in_(gone)))
    return gone


def _stored(row: RowMapping) -> StoredDriftReport:
    report = msgspec.convert(row["report"], DriftReport)
    return StoredDriftReport(row["id"], row["created_at"], row["has_asked"], report)
