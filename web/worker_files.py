"""What worker processes on this machine counted, from the files that they share with the web side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from config.metrics import workers
from config.metrics.build import with_zeroes
from web.counted_files import CountedFiles


class WorkerFiles(Collector):
    """The sums over all worker processes of this machine.

    Workers in containers of their own are scraped there instead (TOLLGATE_WORKER_METRICS_PORT); then all is 0 here.
    """

    def __init__(self, directory: Path) -> None:
        self._files = CountedFiles(directory)

    def collect(self) -> Iterator[Metric]:
        """Every metric of `config.metrics.workers`, as 0 where no worker has counted yet."""
        yield from with_zeroes(self._files.collect(), workers.METRICS)

    def describe(self) -> Iterator[Metric]:
        """Nothing: what there is depends on the files."""
        return iter(())
