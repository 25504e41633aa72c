"""What a web process knows of itself and of its machine: version, schema, room on the disk."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from config.metrics import shared
from config.metrics.build import gauge_family
from config.schema.model import Schema
from web.shared_metrics import single

_DIGEST_SHOWN: Final = 12


class ProcessFacts(Collector):
    """Build information and the disk of the data directory."""

    def __init__(self, data_dir: Path, schema: Schema) -> None:
        self._data_dir = data_dir
        self._schema = schema

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; a disk that cannot be asked (no such directory) is 0."""
        build = gauge_family(shared.BUILD_INFO)
        build.add_metric([version("tollgate"), platform.python_version(), self._schema.digest[:_DIGEST_SHOWN]], 1)
        yield build
        free, size = _disk(self._data_dir)
        yield single(shared.DISK_FREE, free)
        yield single(shared.DISK_SIZE, size)


def _disk(directory: Path) -> tuple[int, int]:
    try:
        usage = shutil.disk_usage(directory)
    except OSError:
        return 0, 0
    return usage.free, usage.total
