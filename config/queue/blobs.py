"""Files that background workers leave for the web side in the blob store, beside those of batches."""

from __future__ import annotations

from config.blobs.store import Blob, BlobStore


def drift_picture(blobs: BlobStore, report_id: int) -> Blob:
    """The picture of a drift report."""
    return blobs.blob(f"drift/{report_id}.png")
