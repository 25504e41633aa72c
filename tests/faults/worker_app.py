"""A scoring worker that can be told to misbehave: `celery -A tests.faults.worker_app worker ...`.

Everything is the production worker's but its scorer and its transport, which look for switches: files in
`TOLLGATE_FAULT_DIR`. Without a switch they do what their base classes do.
"""

from __future__ import annotations

import workers.app  # first: it says where metrics are counted, before one is made
import workers.loading
from tests.faults.switches import FaultyScorer

app = workers.app.app
workers.loading.BatchScorer = FaultyScorer  # type: ignore[misc]
app.conf.broker_transport = "tests.faults.transport:StoppingTransport"

__all__ = ["app"]
