"""Files that background workers leave for the web side in the blob store, beside those of batches."""

from __future__ import annotations

from pathlib import Path


def drift_picture(blob_dir: Path, report_id: int) -> Path:
    """The picture of a drift report."""
    return blob_dir / "drift" / f"{report_id}.png"
