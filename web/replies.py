"""The reply thread of a web process: takes batches' answers off its reply list and wakes the waiting requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import redis
import structlog

from web.breaker import Breaker, broker_lost
from web.coalescer import Coalescer

log = structlog.get_logger(__name__)

POLL_S = 0.25
LOOK_AROUND_S = 1.0
RETRY_S = 0.2

_decoder = msgspec.json.Decoder(tuple[int, list[tuple[str, msgspec.Raw]]])


class ReplyThread(threading.Thread):
    """Reads one reply list for as long as the process lives; a daemon, since nothing waits on it at exit.

    Also frees the slots of batches that were never answered, calls `look_around` about once a second, and reports the
    broker's loss and return to the breaker.
    """

    def __init__(
        self,
        client: redis.Redis,
        reply_key: str,
        *,
        coalescer: Coalescer,
        breaker: Breaker,
        look_around: Callable[[redis.Redis], None],
    ) -> None:
        super().__init__(name="tollgate-replies", daemon=True)
        self._client = client
        self._reply_key = reply_key
        self._coalescer = coalescer
        self._breaker = breaker
        self._look_around = look_around
        self._looked_at = float("-inf")
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end after its current wait."""
        self._stopping.set()

    def run(self) -> None:
        """Serve until stopped; a lost broker is retried for ever."""
        while not self._stopping.is_set():
            try:
                self._serve_once()
            except redis.TimeoutError as error:
                # Slow is not gone (an fsync may take longer than this). What was out answers within its deadline, or
                # is settled by the late path; new work meets the breaker only if sending fails too.
                log.warning("reply_list_slow", error=str(error))
                self._coalescer.expire()
            except redis.RedisError as error:
                self._breaker.failed()
                self._coalescer.fail_all(broker_lost(type(error).__name__))
                log.warning("reply_list_unreachable", error=str(error))
                self._stopping.wait(RETRY_S)

    def _serve_once(self) -> None:
        if time.monotonic() - self._looked_at > LOOK_AROUND_S:
            self._look_around(self._client)
            self._looked_at = time.monotonic()
        item = self._client.blpop([self._reply_key], timeout=POLL_S)
        self._breaker.succeeded()
        if item is None:
            self._coalescer.expire()
            return
        batch_id, answers = _decoder.decode(item[1])
        self._coalescer.resolve(batch_id, [(status, bytes(raw)) for status, raw in answers])
