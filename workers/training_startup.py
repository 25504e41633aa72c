"""What a training worker does once, before it takes its first message. Importing it loads no science."""

from __future__ import annotations

from celery import Celery

from config.contracts import WorkerReport
from config.queue.connections import WORKER_TIMEOUT_S, make_redis
from config.schema.load import load_schema
from config.settings import Settings
from workers import training_runtime
from workers.heartbeat import Heartbeat
from workers.metric_files import serve_metrics
from workers.niceness import yield_to_others
from workers.training_runtime import TrainingRuntime

TRAINING_NICENESS = 15


def start_training(settings: Settings, *, worker: str, app: Celery) -> None:
    """Begin to report. No science is loaded here: OpenMP does not survive the fork that every training starts with."""
    yield_to_others(TRAINING_NICENESS)
    serve_metrics(settings.worker_metrics_port)
    client = make_redis(settings, timeout_s=WORKER_TIMEOUT_S)
    schema = load_schema(settings.schema_file)
    training_runtime.install(TrainingRuntime(settings=settings, client=client, schema=schema, app=app))
    report = WorkerReport(worker, "training", None, None, "ready", None)
    # A client of its own: the children inherit the other one, and must not inherit a lock that this thread holds.
    own = make_redis(settings, timeout_s=WORKER_TIMEOUT_S, connections=2)
    Heartbeat(own, lambda: report, settings.heartbeat_s).start()
