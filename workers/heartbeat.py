"""A worker's report about itself, written to Redis by a thread of its own, so that a busy worker still reports."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec
import redis
import structlog

from config import names
from config.contracts import WorkerReport
from config.queue.clock import ServerClock
from config.queue.stats import REPORT_KEPT_S

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
        self._is_over = False
        self.clock = ServerClock()

    def run(self) -> None:
        """Report until `sign_off`; a lost broker is logged and retried at the next beat."""
        while not self._is_over:
            try:
                self.beat()
            except redis.RedisError as error:
                log.warning("heartbeat_failed", error=str(error))
            self._wake.wait(self._interval_s)
            self._wake.clear()

    def beat_soon(self) -> None:
        """Report without waiting for the interval: something changed."""
        self._wake.set()

    def sign_off(self, worker: str) -> None:
        """Report no more: `worker` ends in order, nobody is to wait for it. A lost broker is logged: it forgets too."""
        self._is_over = True
        self._wake.set()
        self.join()
        try:
            with self._client.pipeline(transaction=False) as pipe:
                pipe.zrem(names.WORKERS, worker)
                pipe.delete(names.worker_key(worker))
                pipe.execute()
        except redis.RedisError as error:
            log.warning("heartbeat_failed", error=str(error))

    def beat(self) -> None:
        """Report once. Raises RedisError."""
        skew_ms = round(self.clock.measure(self._client), 1)
        report = msgspec.structs.replace(self._report(), clock_skew_ms=skew_ms)
        # On the broker's clock: a worker whose own is ten seconds behind is not silent.
        now_s = self.clock.now_ms() / 1000
        with self._client.pipeline(transaction=False) as pipe:
            pipe.set(names.worker_key(report.worker), msgspec.json.encode(report), ex=REPORT_KEPT_S)
            pipe.zadd(names.WORKERS, {report.worker: now_s})
            pipe.zremrangebyscore(names.WORKERS, "-inf", now_s - 3600)
            self._carry(pipe)
            pipe.execute()
