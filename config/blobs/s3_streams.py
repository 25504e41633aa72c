"""An object of a bucket as a file: read by ranges, written in parts, never whole in memory."""

from __future__ import annotations

import io
from typing import Any, Final, Protocol

from config.blobs.s3_errors import named_errors

FIRST_WINDOW_BYTES: Final = 1 << 20
LARGEST_WINDOW_BYTES: Final = 8 << 20
PART_BYTES: Final = 8 << 20
"""S3 takes 10,000 parts of at least 5 MB: 80 GB in all."""


class Ranges(Protocol):
    """What is read from."""

    def size(self) -> int:
        """Bytes. Raises FileNotFoundError."""

    def fetch(self, start: int, end: int) -> tuple[bytes, int]:
        """The bytes from `start` to before `end`, as far as there are any, and the size of all."""


class ObjectReader(io.RawIOBase):
    """Reads forward in windows that double while they are used up, and holds one of them.

    No connection stays open in between: a client may take its results as slowly as it likes.
    """

    def __init__(self, source: Ranges, end: int | None) -> None:
        super().__init__()
        self._source = source
        self._end = end
        self._size: int | None = None
        self._position = 0
        self._window = memoryview(b"")
        self._next_bytes = FIRST_WINDOW_BYTES

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is; what was fetched ahead is forgotten."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere; from the end costs a request."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence)
        target = offset + (self._source.size() if base is None else base)
        if target != self._position:
            self._position, self._window, self._next_bytes = target, memoryview(b""), FIRST_WINDOW_BYTES
        return target

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the window goes. Raises FileNotFoundError, BlobsUnavailable."""
        if not self._window:
            self._fetch()
        taken = min(len(buffer), len(self._window))
        buffer[:taken] = self._window[:taken]
        self._window = self._window[taken:]
        self._position += taken
        return taken

    def _fetch(self) -> None:
        end = self._position + self._next_bytes
        if self._end is not None and self._position < self._end:
            end = min(end, self._end)
        if self._size is not None and self._position >= self._size:
            return
        content, self._size = self._source.fetch(self._position, end)
        self._window = memoryview(content)
        self._next_bytes = min(2 * self._next_bytes, LARGEST_WINDOW_BYTES)


class ObjectWriter(io.BufferedIOBase):
    """Collects a part, sends it, forgets it. `finish` makes the object appear, `abort` leaves nothing."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        super().__init__()
        self._client = client
        self._where = {"Bucket": bucket, "Key": key}
        self._part = bytearray()
        self._upload: dict[str, str] = {}
        self._sent: list[dict[str, Any]] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: Any) -> int:
        """Take it; a part that is full is sent. Raises BlobsUnavailable."""
        self._part += content
        while len(self._part) >= PART_BYTES:
            with named_errors(self._where["Key"]):
                self._send(bytes(self._part[:PART_BYTES]))
            del self._part[:PART_BYTES]
        return len(content)

    def finish(self) -> None:
        """Send what is left. Raises BlobsUnavailable; the object is not there then."""
        with named_errors(self._where["Key"]):
            if not self._upload:
                self._client.put_object(**self._where, Body=bytes(self._part))
                return
            if self._part:
                self._send(bytes(self._part))
            self._client.complete_multipart_upload(**self._where, **self._upload, MultipartUpload={"Parts": self._sent})

    def abort(self) -> None:
        """Give up the parts that were sent. Raises BlobsUnavailable."""
        if not self._upload:
            return
        with named_errors(self._where["Key"]):
            self._client.abort_multipart_upload(**self._where, **self._upload)

    def _send(self, part: bytes) -> None:
        if not self._upload:
            self._upload = {"UploadId": self._client.create_multipart_upload(**self._where)["UploadId"]}
        number = len(self._sent) + 1
        sent = self._client.upload_part(**self._where, **self._upload, PartNumber=number, Body=part)
        self._sent.append({"PartNumber": number, "ETag": sent["ETag"]})
