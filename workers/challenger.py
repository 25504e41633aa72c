"""The one place from which drift asks for a challenger to be trained."""

from __future__ import annotations

import structlog
from celery import Celery

from config import names

log = structlog.get_logger(__name__)


def ask_for_challenger(app: Celery) -> bool:
    """Send the training task; False where no training worker is part of the system. Whether the challenger is promoted
    is for the gate to say.
    """
    if names.TASK_RETRAIN not in (app.conf.task_routes or {}):
        return False
    app.send_task(names.TASK_RETRAIN, ignore_result=True)
    log.info("challenger_asked_for", because="drift")
    return True
