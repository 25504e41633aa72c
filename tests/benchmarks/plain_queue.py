"""The plain queue: Flask sends each payment as one Celery task and waits for its result.

The web side runs on granian, the worker is `celery -A tests.benchmarks.plain_queue:queue worker` with the
prefork pool; broker and result backend are the Redis at `BENCH_REDIS_URL`.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from celery import Celery
from flask import Flask, Response, jsonify, request

RESULT_TIMEOUT_S = 30

queue = Celery("plain_queue", broker=os.environ["BENCH_REDIS_URL"], backend=os.environ["BENCH_REDIS_URL"])
queue.conf.update(
    task_serializer="json",
    worker_prefetch_multiplier=1,
    result_expires=60,
    broker_connection_retry_on_startup=True,
)
app = Flask(__name__)


@lru_cache(maxsize=1)
def _model() -> Any:
    # Loaded in the prefork child: the web side needs no scikit-learn, and OpenMP does not survive a fork.
    from tests.benchmarks.reference_model import load_model

    return load_model()


@queue.task(name="bench.predict")
def score_payment(payment: dict[str, object]) -> dict[str, object]:
    """Score one payment through a DataFrame, as the in-process shape does."""
    from tests.benchmarks.reference_model import score

    return score(_model(), payment)


@queue.task(name="bench.predict_many")
def score_payments(payments: list[dict[str, object]]) -> list[float]:
    """Score many payments in one task: one DataFrame, one predict_proba."""
    from tests.benchmarks.reference_model import score_many

    return score_many(_model(), payments)


@app.post("/predict")
def predict() -> Response:
    """Send one task, wait for its result."""
    return jsonify(score_payment.delay(request.get_json()).get(timeout=RESULT_TIMEOUT_S))
