"""Where a blob directory keeps the files of a batch: what is on the disk, for tests that look at it or write there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BatchPaths:
    """The files of one batch, as `config.queue.batches.BatchFiles` names them."""

    directory: Path

    @classmethod
    def of(cls, blob_dir: Path, batch_id: str) -> BatchPaths:
        return cls(blob_dir / "batches" / batch_id)

    @property
    def upload(self) -> Path:
        return self.directory / "upload"

    def results(self, chunk: int) -> Path:
        return self.directory / "results" / f"{chunk:06d}.ndjson"

    def errors(self, chunk: int) -> Path:
        return self.directory / "errors" / f"{chunk:06d}.ndjson"
