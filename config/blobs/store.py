"""The blob store: uploads and results of batches, pictures of drift reports; what web and workers share beside Redis.

A directory (`config.blobs.directory`) or a bucket (`config.blobs.s3`); `config.blobs.choice` says which. Names are
paths with slashes. A blob appears whole or not at all and is not changed afterwards, only replaced by the same content.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol


class Blob(Protocol):
    """One blob, there or not. Everything raises OSError (a directory) or BlobsUnavailable (a bucket)."""

    def exists(self) -> bool:
        """Whether it is there."""

    def size(self) -> int:
        """Bytes. Raises FileNotFoundError."""

    def open(self, end: int | None = None) -> BinaryIO:
        """To read and to seek in; `end`: the byte before which the reader will stop, so that no more is fetched.

        Raises FileNotFoundError, here or at the first read.
        """

    def written(self) -> AbstractContextManager[BinaryIO]:
        """To write. The blob is there, durable, when the block ends; not at all when it raises."""

    def remove(self) -> None:
        """Remove it if it is there."""


class Listed(NamedTuple):
    """A blob that is there, and its bytes."""

    blob: Blob
    size: int


class Folder(NamedTuple):
    """A folder that is there, and when something in it was last written (Unix seconds)."""

    name: str
    written_at_s: float


class BlobStore(Protocol):
    """Blobs by name."""

    def blob(self, name: str) -> Blob:
        """The blob of this name; nothing is asked or created."""

    def listed(self, folder: str) -> Sequence[Listed]:
        """The blobs in a folder that holds no others, by name; none where there is no such folder."""

    def folders(self, parent: str) -> Iterator[Folder]:
        """The folders in a folder; none where there is no such folder."""

    def remove_folder(self, folder: str) -> None:
        """Remove all that is in it. What cannot be removed now is left to housekeeping: nothing is raised."""

    def sync_folder(self, folder: str) -> None:
        """Return when the blobs of this folder would be found after a crash of the machine."""

    def room(self) -> int | None:
        """Bytes that fit in now; None where nobody can say."""
