"""The bundle store as the web side sees it: a directory per model version, of which it reads JSON only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from web.shapes.models import ModelEntry

MANIFEST: Final = "manifest.json"
REPORT: Final = "report.json"
GATE: Final = "gate.json"
INCREMENTAL: Final = Path("incremental/summary.json")


def list_bundles(model_dir: Path, *, champion: str | None) -> list[ModelEntry]:
    """Every complete bundle, newest first. A directory without a manifest is still being written."""
    entries = [_entry(path, champion=champion) for path in model_dir.glob(f"*/{MANIFEST}")]
    return sorted(
        (entry for entry in entries if entry is not None),
        key=lambda entry: (entry.created_at, entry.model_version),
        reverse=True,
    )


def report_of(model_dir: Path, model_version: str) -> dict[str, Any]:
    """What training found about a model version; {} where its bundle is not in the store."""
    # The name comes from a stored decision: it must not lead out of the store.
    return _read_report(model_dir / model_version / REPORT) if Path(model_version).name == model_version else {}


def incremental_summary(model_dir: Path) -> dict[str, Any] | None:
    """How far the incremental model is and how good it was, week by week; None before its first step."""
    return _read_report(model_dir / INCREMENTAL) or None


def _entry(manifest: Path, *, champion: str | None) -> ModelEntry | None:
    directory = manifest.parent
    try:
        content, written_s = manifest.read_bytes(), manifest.stat().st_mtime
    except FileNotFoundError:
        # Retention removed it while we looked.
        return None
    written_at = datetime.fromtimestamp(written_s, tz=UTC)
    return ModelEntry(
        model_version=directory.name,
        is_champion=directory.name == champion,
        digest=sha256(content).hexdigest(),
        created_at=written_at.isoformat(timespec="seconds"),
        report=_read_report(directory / REPORT),
        gate=_read_report(directory / GATE) or None,
    )


def _read_report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_bytes())
    except (OSError, ValueError):
        # A bundle without a readable report is listed all the same: what serves must be visible.
        return {}
    return report if isinstance(report, dict) else {}
