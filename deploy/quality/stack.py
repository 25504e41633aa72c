"""A whole Tollgate of its own that serves one bundle, for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.setting_groups.places import DEFAULT_POLICY
from deploy.bench.site import Site, answers, free_port
from deploy.launcher.processes import python
from ml.measured.published import HISTORY_EVENTS

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
    site = Site(work_dir, repository)
    try:
        with site.running("tollgate", python("deploy.cli", "up"), _environment(work_dir, schema_file, port)) as child:
            site.wait_until(lambda: answers(port, "GET", "/health"), child)
            yield port
    finally:
        site.close()


def _environment(work_dir: Path, schema_file: Path, port: int) -> dict[str, str]:
    """Every place is named: whatever the caller's environment points at is left alone."""
    state, redis_port = work_dir / STATE, free_port()
    return {
        "TOLLGATE_DATA_DIR": str(state),
        "TOLLGATE_MODEL_DIR": str(model_dir(work_dir)),
        "TOLLGATE_BLOB_DIR": str(state / "blobs"),
        "TOLLGATE_DATABASE_URL": f"sqlite:///{state / 'ledger.db'}",
        "TOLLGATE_SCHEMA_FILE": str(schema_file),
        "TOLLGATE_POLICY_FILE": str(DEFAULT_POLICY),
        "TOLLGATE_HOST": "127.0.0.1",
        "TOLLGATE_AUTH": "off",
        "TOLLGATE_PORT": str(port),
        "TOLLGATE_REDIS_PORT": str(redis_port),
        "TOLLGATE_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "TOLLGATE_HISTORY_EVENTS": str(HISTORY_EVENTS),
        "TOLLGATE_BULK_WORKERS": "1",
        "TOLLGATE_MLFLOW_ENABLED": "false",
        "TOLLGATE_EXPORTER_ENABLED": "false",
        "TOLLGATE_RETRAIN_INTERVAL_S": "0",
        "TOLLGATE_DRIFT_INTERVAL_S": "0",
        "TOLLGATE_INCREMENTAL_INTERVAL_S": "0",
        "TOLLGATE_QUALITY_ROLL_UP_S": "86400",
    }
