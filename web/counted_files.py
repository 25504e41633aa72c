"""What processes counted, from the files that they share: the sums over all of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

LOOKS = 3


class CountedFiles(Collector):
    """The files of one directory; nothing where there is none.

    Processes begin and end while their files are read: an empty file is one that has just begun, and where one has gone
    the others are read once more.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        """Counters and histograms summed. Raises OSError, struct.error: the files do not come to rest."""
        for _ in range(LOOKS - 1):
            with suppress(FileNotFoundError, struct.error):
                return self._sums()
        return self._sums()

    def describe(self) -> Iterator[Metric]:
        """Nothing: what there is depends on the files."""
        return iter(())

    def _sums(self) -> Iterable[Metric]:
        files = [str(path) for path in self._directory.glob("*.db") if path.stat().st_size]
        sums: Iterable[Metric] = MultiProcessCollector.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        return sums
