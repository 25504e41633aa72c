"""The canary: a real transaction through the whole path, so that "ready" means "a decision came back"."""

from __future__ import annotations

import threading
import time

from config.contracts import ScoreRow
from config.errors import TollgateError
from config.queue.clock import ServerClock
from config.schema.model import Schema
from config.settings import Settings
from web.coalescer import Coalescer

CANARY_WAIT_S = 0.8


class Canary:
    """Sends one when somebody asks and the last answer is older than the interval. Never stored, never counted.

    `latency_s`: the round trip of the last one that was answered, 0 before the first.
    """

    def __init__(self, coalescer: Coalescer, schema: Schema, settings: Settings) -> None:
        self._coalescer = coalescer
        self._n_fields = len(schema.fields)
        self._interval_s = settings.canary_interval_s
        self._answered_at: float | None = None
        self._is_unanswered = False
        self.latency_s = 0.0
        self._lock = threading.Lock()

    def age_s(self, clock: ServerClock) -> float | None:
        """Seconds since a scoring worker last answered, or None when none has within the interval."""
        with self._lock:
            if not self._is_fresh():
                self._is_unanswered = not self._send(clock)
                if not self._is_unanswered:
                    self._answered_at = time.monotonic()
            if self._answered_at is None or not self._is_fresh():
                return None
            return time.monotonic() - self._answered_at

    def known_age_s(self, clock: ServerClock) -> float | None:
        """The same without waiting: None when the last canary was not answered, or none was sent yet.

        When the last answer is old, a canary is sent meanwhile, for the next one who asks.
        """
        age_s = None
        if self._answered_at is not None and not self._is_unanswered:
            age_s = time.monotonic() - self._answered_at
        if not self._is_fresh() and not self._lock.locked():
            threading.Thread(target=self.age_s, args=(clock,), name="tollgate-canary", daemon=True).start()
        return age_s

    def _is_fresh(self) -> bool:
        return self._answered_at is not None and time.monotonic() - self._answered_at < self._interval_s

    def _send(self, clock: ServerClock) -> bool:
        now_ms = clock.now_ms()
        deadline_ms = now_ms + int(CANARY_WAIT_S * 1000)
        row = ScoreRow("canary", "0" * 16, deadline_ms, now_ms, [None] * self._n_fields, explain=False, is_canary=True)
        sent_at = time.monotonic()
        try:
            answer = self._coalescer.submit(row, CANARY_WAIT_S)
        except TollgateError:
            return False
        if answer is None or answer[0] != "K":
            return False
        self.latency_s = time.monotonic() - sent_at
        return True
