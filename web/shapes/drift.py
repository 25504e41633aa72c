"""Drift checks."""

from __future__ import annotations

from typing import Any

import msgspec


class DriftSummary(msgspec.Struct, frozen=True):
    """One drift check in short.

    `status`: stable, drifting, strong (a challenger is asked for when the next one is strong too), or why nothing was
    compared. `detail`: what drifts. `score_psi`: population stability index of the score. `picture`: None where nothing
    was compared.
    """

    id: int
    created_at: str
    status: str
    detail: str
    model_version: str
    rows: int
    score_psi: float | None
    drifting: list[str]
    has_asked: bool
    location: str
    picture: str | None


class DriftList(msgspec.Struct, frozen=True):
    """Drift checks, newest first. `newest`: the last one in full, None when there was none yet."""

    reports: list[DriftSummary]
    newest: dict[str, Any] | None


class DriftRecord(msgspec.Struct, frozen=True):
    """One drift check in full: docs/drift.md describes `report`."""

    id: int
    created_at: str
    has_asked: bool
    report: dict[str, Any]
