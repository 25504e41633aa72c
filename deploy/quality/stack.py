"""A whole Tollgate of its own that serves one bundle, for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.bench.site import Site, answers, free_port
from deploy.launcher.processes import python

STATE = "tollgate"
MODELS = "models"


def model_dir(work_dir: Path) -> Path:
    """Where the bundle has to be, alone, before the stack starts."""
    return work_dir / STATE / MODELS


@contextmanager
def serving(work_dir: Path, repository: Path, schema_file: Path) -> Iterator[int]:
    """Start `tollgate up` on free ports; gives the HTTP port once a scoring worker has answered.

    One bulk worker, so that rows are scored in the order of the file. Nothing retrains meanwhile.

    Raises:
        click.ClickException: it does not start; the message quotes its log.
    """
    port = free_port()
    env = {
        "TOLLGATE_DATA_DIR": str(work_dir / STATE),
        "TOLLGATE_SCHEMA_FILE": str(schema_file),
        "TOLLGATE_PORT": str(port),
        "TOLLGATE_REDIS_PORT": str(free_port()),
        "TOLLGATE_BULK_WORKERS": "1",
        "TOLLGATE_MLFLOW_ENABLED": "false",
        "TOLLGATE_EXPORTER_ENABLED": "false",
        "TOLLGATE_RETRAIN_INTERVAL_S": "0",
        "TOLLGATE_DRIFT_INTERVAL_S": "0",
        "TOLLGATE_QUALITY_ROLL_UP_S": "86400",
    }
    site = Site(work_dir, repository)
    try:
        with site.running("tollgate", python("deploy.cli", "up"), env) as child:
            site.wait_until(lambda: answers(port, "GET", "/health"), child)
            yield port
    finally:
        site.close()
