"""What web and workers agree on about a batch: its record in Redis and its files in the blob store.

A batch is uploaded whole (`BatchFiles.upload`), then cut into chunks by byte range (`index`); each chunk is scored on
its own and leaves one results file and one errors file, so a chunk that is done twice leaves the same bytes twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import redis

from config import names
from config.blobs.store import Blob, BlobStore, Listed
from config.tenants import tenant_of

BatchStatus = Literal[
    "validating", "in_progress", "finalizing", "completed", "failed", "cancelling", "cancelled", "expired"
]
BatchFormat = Literal["ndjson", "json", "csv"]
ENDED: frozenset[BatchStatus] = frozenset({"completed", "failed", "cancelled", "expired"})


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One batch as Redis holds it (`names.batch_key`). Times: Unix ms on the server's clock, 0 for not yet.

    `total`: rows of the upload, 0 until it has been read; `completed`: rows with a decision; `failed`: rows refused.
    `next_chunk`, `done_chunks`: of `chunks`. `journal_id`: the newest journal entry when its last chunk was done.
    `upload_bytes`: as sent. `is_gzip`: the upload is packed. `traceparent`: the span of its upload, empty where that is
    not traced. `client`: by what its batches are counted; `sent_by`: its name, empty where nobody shows credentials.
    """

    batch_id: str
    client: str
    status: BatchStatus
    format: BatchFormat
    is_gzip: bool
    upload_bytes: int
    created_ms: int
    started_ms: int = 0
    ended_ms: int = 0
    expires_ms: int = 0
    total: int = 0
    completed: int = 0
    failed: int = 0
    chunks: int = 0
    next_chunk: int = 0
    done_chunks: int = 0
    journal_id: str = ""
    error_code: str = ""
    error_detail: str = ""
    traceparent: str = ""
    sent_by: str = ""

    @property
    def tenant(self) -> str:
        """Whose it is: `client` is kept with its tenant."""
        return tenant_of(self.client)

    def fields(self) -> dict[str, str | int]:
        """As the hash stores it."""
        return {name: int(value) if isinstance(value, bool) else value for name, value in self._items()}

    def _items(self) -> Iterator[tuple[str, str | int]]:
        return ((name, getattr(self, name)) for name in self.__slots__)


def read_batch(client: redis.Redis, batch_id: str) -> BatchRecord | None:
    """The record of a batch, or None. Raises RedisError."""
    stored = cast("Mapping[bytes, bytes]", client.hgetall(names.batch_key(batch_id)))
    return batch_of(stored) if stored else None


def batch_of(stored: Mapping[bytes, bytes]) -> BatchRecord:
    """The record that a hash holds."""
    text = {name.decode(): value.decode() for name, value in stored.items()}
    texts = {
        "batch_id",
        "client",
        "status",
        "format",
        "journal_id",
        "error_code",
        "error_detail",
        "traceparent",
        "sent_by",
    }
    values = {name: text[name] if name in texts else int(text[name]) for name in BatchRecord.__slots__ if name in text}
    return BatchRecord(**{**values, "is_gzip": bool(values["is_gzip"])})  # type: ignore[arg-type]


def batch_entry(batch_id: str) -> str:
    """The inbox entry of a batch: there until all of its chunks are done."""
    return f"batch:{batch_id}"


def chunk_entry(batch_id: str, chunk: int) -> str:
    """The inbox entry of one chunk."""
    return f"chunk:{batch_id}:{chunk}"


BATCHES_FOLDER = "batches"


@dataclass(frozen=True, slots=True)
class BatchFiles:
    """The files of one batch in the blob store, all in one folder."""

    blobs: BlobStore
    folder: str

    @classmethod
    def of(cls, blobs: BlobStore, batch_id: str) -> BatchFiles:
        """The files of the batch with this id; nothing is created."""
        return cls(blobs, f"{BATCHES_FOLDER}/{batch_id}")

    @property
    def upload(self) -> Blob:
        """The body as it was sent."""
        return self.blobs.blob(f"{self.folder}/upload")

    @property
    def lines(self) -> Blob:
        """The rows one to a line, where the upload itself is not that (gzip, a JSON array)."""
        return self.blobs.blob(f"{self.folder}/lines")

    @property
    def index(self) -> Blob:
        """Where each chunk begins."""
        return self.blobs.blob(f"{self.folder}/index")

    def results(self, chunk: int) -> Blob:
        """The decisions of one chunk: one JSON object a line, in input order."""
        return self.blobs.blob(f"{self.folder}/results/{chunk:06d}.ndjson")

    def errors(self, chunk: int) -> Blob:
        """The refused rows of one chunk: one JSON object a line."""
        return self.blobs.blob(f"{self.folder}/errors/{chunk:06d}.ndjson")

    def all_results(self) -> Sequence[Listed]:
        """Those of every chunk that is done, in input order."""
        return self.blobs.listed(f"{self.folder}/results")

    def all_errors(self) -> Sequence[Listed]:
        """Those of every chunk that is done and has any, in input order."""
        return self.blobs.listed(f"{self.folder}/errors")

    def remove(self) -> None:
        """Remove everything of the batch; what cannot be removed now is left to housekeeping."""
        self.blobs.remove_folder(self.folder)
