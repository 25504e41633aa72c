"""The body of POST /batches: its head (type, packing, length), and its blocks on their way to the blob store.

Never whole in memory: granian hands the body over as it arrives, and what is not read is not sent by the client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from config.blobs.full_disk import full_disk_named
from config.blobs.store import BlobStore
from config.errors import (
    BodyTooLarge,
    LengthRequired,
    MalformedBody,
    StorageFull,
    TooManyRows,
    UnsupportedMediaType,
)
from config.queue.batches import BatchFiles, BatchFormat

BLOCK_BYTES: Final = 65_536
FORMATS: Final[dict[str, BatchFormat]] = {
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/json": "json",
    "text/csv": "csv",
}


@dataclass(frozen=True, slots=True)
class UploadHead:
    """What the headers say about an upload. `length`: bytes as sent, more than 0; None when it comes in chunks."""

    format: BatchFormat
    is_gzip: bool
    length: int | None


def read_head(environ: dict[str, Any], limit_bytes: int, *, must_be_whole: bool) -> UploadHead:
    """Check the headers; nothing of the body is read.

    `must_be_whole`: an answer is remembered for this very body, so a part of it must not pass for it.

    Raises: UnsupportedMediaType, LengthRequired, MalformedBody (empty, or no number), BodyTooLarge.
    """
    return UploadHead(_format(environ), _is_gzip(environ), _length(environ, limit_bytes, must_be_whole=must_be_whole))


def _format(environ: dict[str, Any]) -> BatchFormat:
    media_type, _, parameters = environ.get("CONTENT_TYPE", "").partition(";")
    found = FORMATS.get(media_type.strip().lower())
    if found is None:
        sent = f"Content-Type is {media_type.strip()[:80]!r}" if media_type else "no Content-Type was sent"
        raise UnsupportedMediaType(f"{sent}; send one of {', '.join(FORMATS)}")
    charset = parameters.lower().replace('"', "").partition("charset=")[2].partition(";")[0].strip()
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(f"charset is {charset[:40]!r}; batches are read as utf-8 only")
    return found


def _is_gzip(environ: dict[str, Any]) -> bool:
    encoding: str = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise UnsupportedMediaType(f"Content-Encoding is {encoding[:40]!r}; send gzip or none")
    return encoding.endswith("gzip")


def _length(environ: dict[str, Any], limit_bytes: int, *, must_be_whole: bool) -> int | None:
    declared = environ.get("CONTENT_LENGTH", "")
    if not declared and "HTTP_TRANSFER_ENCODING" in environ:
        if must_be_whole:
            # granian 2.8.7 ends a chunked body that breaks off as if it were complete.
            raise LengthRequired("send Content-Length with Idempotency-Key: half an upload must not take the key")
        return None
    if not (declared or "0").isdecimal():
        raise MalformedBody(f"Content-Length is {declared[:40]!r}, not a number of bytes")
    length = int((declared or "0")[:20])
    if length == 0:
        raise MalformedBody("the body is empty; a batch has at least one row")
    if length > limit_bytes:
        raise _too_large(limit_bytes)
    return length


def blocks(source: Any, length: int | None, limit_bytes: int) -> Iterator[bytes]:
    """The body in blocks of at most 64 kB.

    Raises: MalformedBody (the client broke off, or sent nothing), BodyTooLarge (more than `limit_bytes` in chunks).
    """
    return _announced(source, length) if length is not None else _chunked(source, limit_bytes)


def _chunked(source: Any, limit_bytes: int) -> Iterator[bytes]:
    received = 0
    while block := source.read(BLOCK_BYTES):
        received += len(block)
        if received > limit_bytes:
            raise _too_large(limit_bytes)
        yield block
    if not received:
        raise MalformedBody("the body is empty; a batch has at least one row")


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit_bytes} bytes (TOLLGATE_BULK_MAX_BYTES)")


def _announced(source: Any, length: int) -> Iterator[bytes]:
    missing = length
    while missing:
        block = source.read(min(BLOCK_BYTES, missing))
        if not block:
            raise MalformedBody(f"the body ended after {length - missing} of the {length} bytes that were announced")
        missing -= len(block)
        yield block


class RowCount:
    """Counts the rows of an upload on its way in, as far as line breaks tell: packed rows and arrays are counted later.

    In CSV only up to the first quote: a quoted cell may hold line breaks.
    """

    def __init__(self, head: UploadHead, max_rows: int) -> None:
        self._max_rows = max_rows
        self._is_csv = head.format == "csv"
        self._counts = head.format in ("ndjson", "csv") and not head.is_gzip
        self._rows = -1 if self._is_csv else 0

    def add(self, block: bytes) -> None:
        """Count a block. Raises TooManyRows."""
        self._counts = self._counts and not (self._is_csv and b'"' in block)
        if not self._counts:
            return
        self._rows += block.count(b"\n") - block.count(b"\n\n") - block.count(b"\n\r\n")
        if self._rows > self._max_rows:
            raise TooManyRows(f"the batch has more than {self._max_rows} rows (TOLLGATE_BULK_MAX_ROWS)")


def store(body: Iterable[bytes], files: BatchFiles, *, on_block: Callable[[bytes], None]) -> None:
    """Write the upload; it would be found after a crash when this returns. `on_block` sees every block.

    Raises: StorageFull, BlobsUnavailable, and what `body` and `on_block` raise; then nothing is left.
    """
    try:
        with full_disk_named(), files.upload.written() as file:
            for block in body:
                file.write(block)
                on_block(block)
        files.blobs.sync_folder(files.folder)
    except BaseException:
        files.remove()
        raise


def require_space(blobs: BlobStore, length: int) -> None:
    """Pass when there is room for an upload of `length` bytes now. Raises StorageFull."""
    with full_disk_named():
        room = blobs.room()
    if room is not None and room < length:
        raise StorageFull(f"the disk has no room for an upload of {length} bytes")
