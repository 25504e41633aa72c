"""The blob store as a bucket of S3, or of a store that speaks its protocol: a blob is an object below a prefix.

Credentials and region come from where AWS's own tools look (environment, profile, role of the machine).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO, Final, cast
from urllib.parse import urlsplit

import boto3
import structlog
from botocore.config import Config

from config.blobs.s3_errors import BeyondTheEnd, named_errors
from config.blobs.s3_streams import ObjectReader, ObjectWriter
from config.blobs.store import Folder, Listed
from config.errors import BlobsUnavailable

log = structlog.get_logger(__name__)

READ_BUFFER_BYTES: Final = 65_536
KEYS_PER_DELETE: Final = 1000
_CONFIG: Final = {
    # Two tries, half a second apart on average: a client is told soon, and a worker comes back by itself.
    "retries": {"mode": "standard", "max_attempts": 2},
    "connect_timeout": 2,
    "read_timeout": 20,
    "max_pool_connections": 64,
    # Stores that only speak the protocol do not know the checksums that AWS adds unasked.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}


def connect(url: str, endpoint_url: str | None) -> BucketBlobs:
    """The store at `s3://bucket/prefix`; nothing is asked of it yet. `endpoint_url`: where, if not at AWS."""
    parts = urlsplit(url)
    style = {"addressing_style": "path"} if endpoint_url else {}
    client = boto3.client("s3", endpoint_url=endpoint_url, config=Config(**_CONFIG, s3=style))
    prefix = parts.path.strip("/")
    return BucketBlobs(client, parts.netloc, f"{prefix}/" if prefix else "")


@dataclass(frozen=True, slots=True)
class ObjectBlob:
    """See `config.blobs.store.Blob`."""

    client: Any
    bucket: str
    key: str

    def exists(self) -> bool:
        """Whether the object is there."""
        try:
            self.size()
        except FileNotFoundError:
            return False
        return True

    def size(self) -> int:
        """Bytes. Raises FileNotFoundError."""
        with named_errors(self.key):
            return int(self.client.head_object(Bucket=self.bucket, Key=self.key)["ContentLength"])

    def open(self, end: int | None = None) -> BinaryIO:
        """A reader that fetches ranges; the first read raises FileNotFoundError."""
        return cast("BinaryIO", io.BufferedReader(ObjectReader(self, end), READ_BUFFER_BYTES))

    def fetch(self, start: int, end: int) -> tuple[bytes, int]:
        """The bytes from `start` to before `end`, as far as there are any, and the size of all."""
        try:
            with named_errors(self.key):
                found = self.client.get_object(Bucket=self.bucket, Key=self.key, Range=f"bytes={start}-{end - 1}")
                return found["Body"].read(), int(found["ContentRange"].rpartition("/")[2])
        except BeyondTheEnd:
            return b"", start

    @contextmanager
    def written(self) -> Iterator[BinaryIO]:
        """A small object goes in one request, a large one in parts; it is there when the block ends."""
        writer = ObjectWriter(self.client, self.bucket, self.key)
        try:
            yield cast("BinaryIO", writer)
            writer.finish()
        except BaseException:
            with suppress(BlobsUnavailable, FileNotFoundError):
                writer.abort()
            raise

    def remove(self) -> None:
        """Remove the object if it is there."""
        with named_errors(self.key):
            self.client.delete_object(Bucket=self.bucket, Key=self.key)


@dataclass(frozen=True, slots=True)
class BucketBlobs:
    """See `config.blobs.store.BlobStore`. `prefix`: empty, or ends with a slash."""

    client: Any
    bucket: str
    prefix: str

    def blob(self, name: str) -> ObjectBlob:
        """The object of this name."""
        return ObjectBlob(self.client, self.bucket, self.prefix + name)

    def listed(self, folder: str) -> Sequence[Listed]:
        """The objects below a folder by name: one request for a thousand."""
        return [
            Listed(ObjectBlob(self.client, self.bucket, found["Key"]), found["Size"]) for found in self._below(folder)
        ]

    def folders(self, parent: str) -> Iterator[Folder]:
        """The folders below `parent`. Every object is listed, since a folder is nothing by itself."""
        start = len(f"{self.prefix}{parent}/")
        for name, found in groupby(self._below(parent), lambda one: one["Key"][start:].partition("/")[0]):
            yield Folder(name, max(one["LastModified"].timestamp() for one in found))

    def remove_folder(self, folder: str) -> None:
        """Remove the objects below it, a thousand at a time."""
        try:
            keys = [{"Key": found["Key"]} for found in self._below(folder)]
            for start in range(0, len(keys), KEYS_PER_DELETE):
                some = {"Objects": keys[start : start + KEYS_PER_DELETE], "Quiet": True}
                with named_errors(folder):
                    self.client.delete_objects(Bucket=self.bucket, Delete=some)
        except BlobsUnavailable as error:
            log.warning("folder_not_removed", folder=folder, detail=error.detail)

    def sync_folder(self, folder: str) -> None:
        """An object that was answered for is durable."""

    def room(self) -> int | None:
        """A bucket has no end."""
        return None

    def _below(self, folder: str) -> Iterator[Any]:
        pages = self.client.get_paginator("list_objects_v2")
        with named_errors(folder):
            for page in pages.paginate(Bucket=self.bucket, Prefix=f"{self.prefix}{folder}/"):
                yield from page.get("Contents", ())
