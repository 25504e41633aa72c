"""The blob store as a directory that web and workers share: a blob is a file."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from config.blobs.store import Folder, Listed

PARTIAL = ".part"


@dataclass(frozen=True, slots=True)
class FileBlob:
    """See `config.blobs.store.Blob`."""

    path: Path

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def size(self) -> int:
        """Bytes. Raises FileNotFoundError."""
        return self.path.stat().st_size

    def open(self, end: int | None = None) -> BinaryIO:  # noqa: ARG002  the disk is read as far as it is asked
        """The file. Raises FileNotFoundError."""
        return self.path.open("rb")

    @contextmanager
    def written(self) -> Iterator[BinaryIO]:
        """A file that appears under its name only when it is complete and on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}{PARTIAL}")
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file if it is there."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class DirectoryBlobs:
    """See `config.blobs.store.BlobStore`."""

    root: Path

    def blob(self, name: str) -> FileBlob:
        """The file of this name."""
        return FileBlob(self.root / name)

    def listed(self, folder: str) -> Sequence[Listed]:
        """The files in a directory by name, without those that are being written."""
        try:
            entries = [entry for entry in os.scandir(self.root / folder) if not entry.name.endswith(PARTIAL)]
        except FileNotFoundError:
            return []
        return [Listed(FileBlob(Path(entry.path)), entry.stat().st_size) for entry in sorted(entries, key=_name)]

    def folders(self, parent: str) -> Iterator[Folder]:
        """The directories in a directory; one that goes away meanwhile was written just now."""
        directory = self.root / parent
        return (Folder(path.name, _written_at(path)) for path in (directory.iterdir() if directory.is_dir() else ()))

    def remove_folder(self, folder: str) -> None:
        """Remove a directory; another process may be at it too."""
        shutil.rmtree(self.root / folder, ignore_errors=True)

    def sync_folder(self, folder: str) -> None:
        """A rename is on the disk once its directory is."""
        directory = self.root / folder
        for path in (directory, directory.parent):
            _sync(path)

    def room(self) -> int | None:
        """Free bytes of the disk."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _written_at(directory: Path) -> float:
    """When something in it was last written, or now when it is gone already."""
    try:
        return max(path.stat().st_mtime for path in (directory, *directory.iterdir()))
    except (FileNotFoundError, NotADirectoryError):
        return time.time()


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
