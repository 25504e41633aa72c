"""A blob store in memory: what a fuzzer needs to read a thousand uploads a second."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO


class MemoryBlob:
    """One blob of a `MemoryBlobs`."""

    def __init__(self, held: dict[str, bytes], name: str) -> None:
        self._held, self._name = held, name

    def exists(self) -> bool:
        return self._name in self._held

    def size(self) -> int:
        return len(self._held[self._name])

    def open(self, end: int | None = None) -> BinaryIO:
        return io.BytesIO(self._held[self._name])

    @contextmanager
    def written(self) -> Iterator[BinaryIO]:
        file = io.BytesIO()
        yield file
        self._held[self._name] = file.getvalue()

    def remove(self) -> None:
        self._held.pop(self._name, None)


@dataclass
class MemoryBlobs:
    """As much of a `BlobStore` as reading a batch takes."""

    held: dict[str, bytes] = field(default_factory=dict)

    def blob(self, name: str) -> MemoryBlob:
        return MemoryBlob(self.held, name)
