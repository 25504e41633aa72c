"""The Celery application that worker processes run: `celery -A workers.app worker`, with the role in TOLLGATE_ROLE.

Roles: `scoring` (solo pool, one process per core), `bulk` (chunks of batches, solo pool), `background` (journal, inbox,
labels: beat's ticks), `training` (challengers and the gate, prefork pool).
This is an entry point: it reads the settings. Nothing imports it.
"""

from __future__ import annotations

import os
import sys

# OpenMP threads of several scoring processes fight over the cores (350 -> 53 requests/s measured), and must be
# pinned before numpy is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from typing import Any, cast

from celery import Celery, signals

from config import names
from config.celery_app import Role, make_celery
from config.logs import configure_logs
from config.queue.connections import WORKER_TIMEOUT_S, make_redis
from config.queue.messages import PublishStamp
from config.settings import load_settings
from config.tracing import configure_tracing
from workers.metric_files import count_in
from workers.task_logs import name_tasks

settings = load_settings()
role = cast("Role", os.environ.get("TOLLGATE_ROLE", "background"))
os.environ.setdefault("NUMBA_CACHE_DIR", str((settings.data_dir / "cache" / "numba").absolute()))
count_in(settings.data_dir / "metrics" / "workers", sys.argv)

app: Celery = make_celery(settings, role)
app.set_default()
name_tasks()
PublishStamp(make_redis(settings, timeout_s=WORKER_TIMEOUT_S, connections=2)).connect()

if role == "scoring":
    from workers import control, scoring  # noqa: F401 -- registers the tasks and the reload command
    from workers.startup import start_scoring
elif role == "bulk":
    from workers import control  # noqa: F401 -- registers the reload command
    from workers.bulk import tasks  # noqa: F401 -- registers the tasks
    from workers.bulk.startup import start_bulk
elif role == "training":
    from workers import incremental, no_model, training  # noqa: F401 -- registers the tasks and the reload command
    from workers.training_startup import start_training
else:
    from workers import (  # noqa: F401 -- registers the tasks and the reload command
        drift,
        guard,
        housekeeping,
        inbox,
        journal,
        label_chunks,
        labels,
        model_swaps,
        no_model,
        quality,
        replays,
    )
    from workers.startup import start_background


@signals.setup_logging.connect
def set_up_logging(**_kwargs: Any) -> None:
    """Use our log format, not Celery's."""
    configure_logs(settings, process=role)


@signals.celeryd_after_setup.connect
def prepare(sender: str, **_kwargs: Any) -> None:
    """Before the first message is taken: one that scores blocks here until it has a warm model."""
    configure_tracing(settings, process=role)
    if role == "scoring":
        start_scoring(settings, worker=sender)
    elif role == "bulk":
        start_bulk(settings, worker=sender, app=app)
    elif role == "training":
        start_training(settings, worker=sender, app=app)
    else:
        start_background(settings, worker=sender, app=app)


@signals.worker_shutdown.connect
def leave(**_kwargs: Any) -> None:
    """After the last message: whoever asks for a reload does not wait for this worker."""
    if role in names.ROLES_WITH_A_MODEL:
        # Here and not above: it makes metrics, and those that are made before `count_in` are in no file.
        from workers.runtime import scoring_runtime

        scoring_runtime().sign_off()
