"""The one place from which drift asks for a challenger to be trained."""

from __future__ import annotations

import redis
import structlog
from celery import Celery

from config import names
from config.errors import TrainingRunning
from config.queue.messages import task_message
from config.queue.model_jobs import ask_for_training

log = structlog.get_logger(__name__)


def ask_for_challenger(app: Celery, client: redis.Redis) -> bool:
    """Ask for a training as a client would; False while one runs, then the next check asks. Whether the challenger is
    promoted is for the gate to say. Raises RedisError.
    """
    try:
        job = ask_for_training(client, task_message(app, names.TASK_RETRAIN, names.QUEUE_TRAIN), actor="drift")
    except TrainingRunning:
        return False
    log.info("challenger_asked_for", because="drift", job=job.job_id)
    return True
