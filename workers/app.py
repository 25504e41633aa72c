"""The Celery application that worker processes run: `celery -A workers.app worker`, with the role in TOLLGATE_ROLE.

Roles: `scoring` (solo pool, one process per core), `bulk` (chunks of batches, solo pool), `background` (journal, inbox,
labels: beat's ticks), `training` (challengers and the gate, prefork pool).
This is an entry point: it reads the settings. Nothing imports it.
"""

from __future__ import annotations

import os

# OpenMP threads of several scoring processes fight over the cores (350 -> 53 requests/s measured), and must be
# pinned before numpy is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from typing import Any, cast

from celery import Celery, signals

from config.celery_app import Role, make_celery
from config.logs import configure_logs
from config.settings import load_settings

settings = load_settings()
role = cast("Role", os.environ.get("TOLLGATE_ROLE", "background"))
os.environ.setdefault("NUMBA_CACHE_DIR", str((settings.data_dir / "cache" / "numba").absolute()))
metrics_dir = settings.data_dir / "metrics" / "workers"
metrics_dir.mkdir(parents=True, exist_ok=True)
# prometheus_client chooses its value class when it is imported.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(metrics_dir.absolute()))

app: Celery = make_celery(settings, role)
app.set_default()

if role == "scoring":
    from workers import control, scoring  # noqa: F401 -- registers the tasks and the reload command
    from workers.startup import start_scoring
elif role == "bulk":
    from workers import control  # noqa: F401 -- registers the reload command
    from workers.bulk import tasks  # noqa: F401 -- registers the tasks
    from workers.bulk.startup import start_bulk
elif role == "training":
    from workers import no_model, training  # noqa: F401 -- registers the tasks and the reload command
    from workers.startup import start_training
else:
    from workers import inbox, journal, labels, model_swaps, no_model  # noqa: F401 -- registers the tasks, the command
    from workers.startup import start_background


@signals.setup_logging.connect
def set_up_logging(**_kwargs: Any) -> None:
    """Use our log format, not Celery's."""
    configure_logs(settings, process=role)


@signals.celeryd_after_setup.connect
def prepare(sender: str, **_kwargs: Any) -> None:
    """Before the first message is taken: one that scores blocks here until it has a warm model."""
    if role == "scoring":
        start_scoring(settings, worker=sender)
    elif role == "bulk":
        start_bulk(settings, worker=sender, app=app)
    elif role == "training":
        start_training(settings, worker=sender, app=app)
    else:
        start_background(settings, worker=sender, app=app)
