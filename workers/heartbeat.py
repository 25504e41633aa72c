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
from config.queue.clock import ServerClock
from config.queue.stats import HEARTBEATS_MISSED

log = structlog.get_logger(__name__)


class Heartbeat(threading.Thread):
    """Writes `report()` every `interval_s`, with the clock's skew. A daemon: it ends with the process.

    `clock` is the broker's, measured anew at each beat; `carry` queues what else goes along.
    """

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
        self.clock = ServerClock()

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
        skew_ms = round(self.clock.measure(self._client), 1)
        report = msgspec.structs.replace(self._report(), clock_skew_ms=skew_ms)
        lifetime_ms = int(self._interval_s * HEARTBEATS_MISSED * 1000)
        with self._client.pipeline(transaction=False) as pipe:
            pipe.set(names.worker_key(report.worker), msgspec.json.encode(report), px=lifetime_ms)
            pipe.zadd(names.WORKERS, {report.worker: time.time()})
            pipe.zremrangebyscore(names.WORKERS, "-inf", time.time() - 3600)
            self._carry(pipe)
            pipe.execute()
