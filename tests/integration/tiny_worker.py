"""A scoring worker with a model of one line, for tests that need a running worker and no trained bundle.

`celery -A tests.integration.tiny_worker worker --pool solo`: everything but the bundle is what production runs.
"""

from __future__ import annotations

from typing import Any

from celery import signals

from config.celery_app import make_celery
from config.queue.connections import WORKER_TIMEOUT_S, make_redis
from config.settings import load_settings
from ml.policy import Policy
from tests.unit.workers.test_scorer import TinyBundle
from workers import runtime, scoring
from workers.scorer import BatchScorer

settings = load_settings()
app = make_celery(settings, "scoring")
app.set_default()
TASKS = (scoring.score_batch, scoring.score_accepted)


@signals.celeryd_after_setup.connect
def prepare(sender: str, **_kwargs: Any) -> None:
    """As `workers.startup.start_scoring`, with the tiny bundle whatever the champion pointer names."""
    bundle: Any = TinyBundle()
    client = make_redis(settings, timeout_s=WORKER_TIMEOUT_S)
    one = runtime.ScoringRuntime(
        settings, client, worker=sender, load=lambda _: BatchScorer(bundle, Policy(), explain_above=1.0, reasons_max=1)
    )
    runtime.install(one)
    one.start()
    assert one.holder.wait_until_loaded(30)
