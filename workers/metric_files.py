"""Which files a worker process counts in: named for the worker, not for its process id.

A worker that is started again goes on counting where the one before it stopped. By process id, as prometheus_client
would have it, every restart leaves files of 64 kB and more for good.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from platform import node


def count_in(directory: Path, argv: Sequence[str]) -> None:
    """Keep this process's metrics below `directory`. Call it before the first metric is made."""
    directory.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(directory.absolute()))
    # Here and not above: prometheus_client chooses its value class when it is imported.
    import prometheus_client.values

    name = process_name(argv)
    prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue(lambda: name)  # type: ignore[no-untyped-call]


def serve_metrics(port: int) -> None:
    """Serve this process's metrics on all addresses of its container; 0: do not."""
    if port:
        # Here and not above: see `count_in`.
        from prometheus_client import start_http_server

        start_http_server(port)


def process_name(argv: Sequence[str]) -> str:
    """The worker's name with its machine, from its command line; the process id where it gives none.

    >>> process_name(["celery", "worker", "--hostname", "scoring-1@here"])
    'scoring-1@here'
    """
    names = [name for option, name in pairwise(argv) if option in ("--hostname", "-n")]
    if names:
        return names[-1].replace("%h", node())
    return "beat" if "beat" in argv else str(os.getpid())
