"""A worker's report about itself, written to Redis by a thread of its own, so that a busy worker still reports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import redis
import structlog

from config import names
from config.contracts import WorkerReport
from config.queue.stats import HEARTBEATS_MISSED

log = structlog.get_logger(__name__)


class Heartbeat(threading.Thread):
    """Writes `report()` every `interval_s`; `carry` queues what else goes along. A daemon: it ends with the process."""

    def __init__(
        self,
        client: redis.Redis,
        report: Callable[[], WorkerReport],
        interval_s: float,
        *,
        carry: Callable[[redis.client.Pipeline], None] = lambda _: None,
    ) -> None:
        super().__init__(name="tollgate-heartbeat", daemon=True)
        self._carry = carry
        self._client = client
        self._report = report
        self._interval_s = interval_s
        self._wake = threading.Event()

    def run(self) -> None:
        """Report for ever; a lost broker is logged and retried at the next beat."""
        while True:
            try:
                self.beat()
            except redis.RedisError as error:
                log.warning("heartbeat_failed", error=str(error))
            self._wake.wait(self._interval_s)
            self._wake.clear()

    def beat_soon(self) -> None:
        """Report without waiting for the interval: something changed."""
        self._wake.set()

    def beat(self) -> None:
        """Report once. Raises RedisError."""
        report = self._report()
        lifetime_ms = int(self._interval_s * HEARTBEATS_MISSED * 1000)
        with self._client.pipeline(transaction=False) as pipe:
            pipe.set(names.worker_key(report.worker), msgspec.json.encode(report), px=lifetime_ms)
            pipe.zadd(names.WORKERS, {report.worker: time.time()})
            pipe.zremrangebyscore(names.WORKERS, "-inf", time.time() - 3600)
            self._carry(pipe)
            pipe.execute()
