"""What a bulk worker does once, before it takes its first message."""

from __future__ import annotations

import structlog
from celery import Celery

from config.blobs.choice import blobs_of
from config.collector import settle
from config.queue.connections import WORKER_TIMEOUT_S, make_redis
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.settings import Settings
from ml.ledger import Ledger
from workers import deliveries, runtime
from workers.bulk import runtime as bulk_runtime
from workers.bulk.chunk import ChunkScorer
from workers.bulk.runtime import BulkRuntime
from workers.bulk.store import BulkStore
from workers.loading import scorer_loader
from workers.metric_files import serve_metrics
from workers.niceness import yield_to_others
from workers.runtime import ScoringRuntime

NICENESS = 10
"""A tenth of a core for each that others fill: at 19 a batch stood still on a busy machine."""

log = structlog.get_logger(__name__)


def start_bulk(settings: Settings, *, worker: str, app: Celery) -> None:
    """Load the champion, open the ledger, begin to report. The process runs when nothing else wants its core."""
    yield_to_others(NICENESS)
    serve_metrics(settings.worker_metrics_port)
    client = make_redis(settings, timeout_s=WORKER_TIMEOUT_S)
    scoring = ScoringRuntime(settings, client, worker=worker, load=scorer_loader(settings), role="bulk")
    runtime.install(scoring)
    deliveries.count(scoring.heartbeat.clock)
    scoring.start()
    while not scoring.holder.wait_until_loaded(10):
        log.info("waiting_for_a_model", status=scoring.holder.status, detail=scoring.holder.detail)
    bulk_runtime.install(_runtime(settings, scoring, app))
    settle()


def _runtime(settings: Settings, scoring: ScoringRuntime, app: Celery) -> BulkRuntime:
    blobs_of(settings)  # a bucket that cannot be used stops the process here, not the first batch
    schema = load_schema(settings.schema_file)
    store = BulkStore(scoring.client, settings, app, scoring.store)
    ledger = Ledger(settings.database_url, schema=schema)
    return BulkRuntime(
        settings=settings,
        scoring=scoring,
        store=store,
        scorer=ChunkScorer(scoring, store, ledger, settings),
        validator=compile_validator(schema, settings.card_numbers),
    )
