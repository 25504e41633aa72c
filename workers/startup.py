"""What scoring and background workers do once, before they take their first message."""

from __future__ import annotations

import structlog
from celery import Celery

from config.blobs.choice import blobs_of
from config.collector import settle
from config.contracts import WorkerReport
from config.queue.connections import WORKER_TIMEOUT_S, make_redis
from config.schema.load import load_schema
from config.settings import Settings
from ml.features.spec import FeatureSpec
from ml.ledger import Ledger
from workers import background, deliveries, runtime
from workers.background import BackgroundRuntime
from workers.heartbeat import Heartbeat
from workers.in_hand import TaskInHand
from workers.metric_files import serve_metrics
from workers.niceness import yield_to_others
from workers.runtime import ScoringRuntime

BACKGROUND_NICENESS = 10

log = structlog.get_logger(__name__)


def start_scoring(settings: Settings, *, worker: str) -> None:
    """Load the champion, warm it up, begin to report. Blocks until a model is there: no model, no messages."""
    # Here and not above: the background worker must not pay for the model's libraries.
    from workers.loading import scorer_loader

    serve_metrics(settings.worker_metrics_port)
    client = make_redis(settings, timeout_s=WORKER_TIMEOUT_S)
    scoring = ScoringRuntime(settings, client, worker=worker, load=scorer_loader(settings))
    runtime.install(scoring)
    deliveries.count(scoring.heartbeat.clock)
    scoring.start()
    while not scoring.holder.wait_until_loaded(10):
        log.info("waiting_for_a_model", status=scoring.holder.status, detail=scoring.holder.detail)
    settle()


def start_background(settings: Settings, *, worker: str, app: Celery) -> None:
    """Open the ledger and begin to report. The process yields to scoring: the journal keeps what it is late with."""
    yield_to_others(BACKGROUND_NICENESS)
    serve_metrics(settings.worker_metrics_port)
    deliveries.count()
    blobs_of(settings)  # a bucket that cannot be used stops the process here, not the first task
    schema = load_schema(settings.schema_file)
    client = make_redis(settings, timeout_s=WORKER_TIMEOUT_S)
    background.install(
        BackgroundRuntime(
            settings=settings,
            client=client,
            ledger=Ledger(settings.database_url, schema=schema),
            schema=schema,
            spec=FeatureSpec.from_schema(schema, settings.history_events),
            app=app,
            worker=worker,
        )
    )
    in_hand = TaskInHand()
    in_hand.follow()
    Heartbeat(
        client,
        lambda: WorkerReport(worker, "background", None, None, "ready", None, work=in_hand.work),
        settings.heartbeat_s,
    ).start()
    settle()
