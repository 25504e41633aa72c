"""Sends payments at an even pace, and in files; polls what was accepted for later, posts labels when they are due."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from deploy.traffic.client import JsonClient, Reply, Unreachable
from deploy.traffic.payments import Payment
from deploy.traffic.tally import Tally

POLL_EVERY_S: Final = 0.5
POLLS: Final = 20
TRIES: Final = 4
TICK_S: Final = 0.05
LEAST_LABEL_DELAY_S: Final = 2.0
HONEST_LABEL_SHARE: Final = 0.2
UPLOAD_ROWS: Final = 1000
FILE_POLL_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Pace:
    """`rate`: payments per second. `duration_s`: when to stop, 0 for never. `label_delay_s`: the median.
    `upload_every_s`: from one file to the next.
    """

    rate: float
    duration_s: float = 0.0
    label_delay_s: float = 20.0
    connections: int = 16
    upload_every_s: float = 60.0


class Driver:
    """Plays payments against a server until its time is over or `stop` is set. One `run` per object."""

    def __init__(
        self,
        client: JsonClient,
        payments: Iterator[Payment],
        pace: Pace,
        rng: np.random.Generator,
        *,
        uploads: Iterable[Payment] = (),
    ) -> None:
        """`uploads`: payments that go in files of `UPLOAD_ROWS` beside the others."""
        self.tally = Tally()
        self.stop = threading.Event()
        self._client = client
        self._payments = payments
        self._pace = pace
        self._rng = rng
        self._uploads = iter(uploads)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._simulated_now: datetime | None = None

    @property
    def waiting_labels(self) -> int:
        """Labels and polls that are not due yet."""
        return len(self._due)

    def run(self, on_tick: Callable[[], None]) -> None:
        """Send until the end; calls `on_tick` about twenty times a second. What is under way is waited for."""
        started = time.monotonic()
        self._later(0.0, self._upload)
        in_flight = threading.BoundedSemaphore(2 * self._pace.connections)
        with ThreadPoolExecutor(self._pace.connections, thread_name_prefix="traffic") as pool:
            sent = 0
            while not self.stop.is_set() and not self._is_over(started):
                owed = int((time.monotonic() - started) * self._pace.rate) - sent
                for task in itertools.chain(self._take_due(), self._next_payments(owed)):
                    in_flight.acquire()  # a server that is behind slows the traffic down; nothing piles up here
                    pool.submit(task).add_done_callback(lambda _: in_flight.release())
                sent += max(owed, 0)
                on_tick()
                self.stop.wait(TICK_S)

    def _is_over(self, started: float) -> bool:
        return 0 < self._pace.duration_s <= time.monotonic() - started

    def _next_payments(self, count: int) -> Iterator[Callable[[], None]]:
        for payment in itertools.islice(self._payments, max(count, 0)):
            self._simulated_now = payment.event_at
            yield partial(self._send, payment)

    def _take_due(self) -> list[Callable[[], None]]:
        now, ready = time.monotonic(), []
        with self._lock:
            while self._due and self._due[0][0] <= now:
                ready.append(heapq.heappop(self._due)[2])
        return ready

    def _later(self, delay_s: float, task: Callable[[], None]) -> None:
        with self._lock:
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._numbers), task))

    def _send(self, payment: Payment, tries_left: int = TRIES) -> None:
        headers = {"Prefer": "respond-async"} if payment.prefers_async else {}
        if tries_left == TRIES:
            self.tally.count_sent()
        reply = self._ask(lambda: self._client.post("/predict", payment.body, headers))
        if reply is None:
            return
        if reply.status == 200:
            self._decided(payment, reply.body, took_ms=reply.took_ms)
        elif reply.status == 202:
            self.tally.count_accepted()
            self._later(POLL_EVERY_S, lambda: self._poll(payment, str(reply.body["transaction_id"]), POLLS))
        elif reply.status == 503 and tries_left > 1:  # nothing was accepted: the same payment may be sent again
            self.tally.count_retried()
            self._later(reply.retry_after_s, partial(self._send, payment, tries_left - 1))
        else:
            self.tally.count_refused(reply.status)

    def _poll(self, payment: Payment, transaction_id: str, polls_left: int) -> None:
        reply = self._ask(lambda: self._client.get(f"/predictions/{quote(transaction_id, safe='')}"))
        if reply is not None and reply.status == 200:
            self._decided(payment, reply.body)
        elif polls_left > 1:
            self._later(POLL_EVERY_S, lambda: self._poll(payment, transaction_id, polls_left - 1))

    def _decided(self, payment: Payment, decision: dict[str, Any], *, took_ms: float | None = None) -> None:
        action = str(decision.get("action"))
        self.tally.count_decision(payment.is_fraud, action, took_ms=took_ms)
        source = self._label_source(payment, action)
        if source is not None:
            named = {"decision_id": decision["decision_id"]}
            self._later(self._label_delay_s(), lambda: self._label(payment, named, source))

    def _upload(self) -> None:
        """Send the next file, and ask for the one after it."""
        rows = list(itertools.islice(self._uploads, UPLOAD_ROWS))
        if not rows:
            return
        reply = self._ask(lambda: self._client.post_lines("/batches", [payment.body for payment in rows]))
        if reply is not None and reply.status == 202:
            self.tally.count_upload()
            self._later(FILE_POLL_S, partial(self._poll_file, f"/batches/{reply.body['id']}", rows, POLLS))
        elif reply is not None:
            self.tally.count_refused(reply.status)
        self._later(self._pace.upload_every_s, self._upload)

    def _poll_file(self, location: str, rows: list[Payment], polls_left: int) -> None:
        """Labels come once the file is decided: what nobody has decided has none."""
        reply = self._ask(lambda: self._client.get(location))
        if reply is not None and reply.body.get("status") == "completed":
            for payment in rows:
                self._charge_back(payment)
        elif polls_left > 1:
            self._later(FILE_POLL_S, partial(self._poll_file, location, rows, polls_left - 1))

    def _charge_back(self, payment: Payment) -> None:
        """Nobody waits for the decision on a row of a file: its label names the transaction."""
        named = {"transaction_id": payment.body.get("transaction_id")}
        if payment.is_fraud and named["transaction_id"] is not None:
            self._later(self._label_delay_s(), lambda: self._label(payment, named, "chargeback"))

    def _label_source(self, payment: Payment, action: str) -> str | None:
        """Who tells the truth: the bank (fraud), a reviewer (what was stopped), a survey (some of the rest)."""
        if action != "approve":
            return "manual_review"
        if payment.is_fraud:
            return "chargeback"
        with self._lock:
            return "customer" if self._rng.random() < HONEST_LABEL_SHARE else None

    def _label_delay_s(self) -> float:
        with self._lock:
            drawn = float(self._rng.lognormal(np.log(self._pace.label_delay_s), 0.7))
        return max(drawn, min(LEAST_LABEL_DELAY_S, self._pace.label_delay_s))

    def _label(self, payment: Payment, named: dict[str, Any], source: str) -> None:
        """By the decision's or the transaction's id; a payment in the seed's form by its content, as the seed's clients
        do.
        """
        known_at = max(self._simulated_now or payment.event_at, payment.event_at)
        if payment.form == "seed":
            path, body = f"/feedback?actual_label={str(payment.is_fraud).lower()}", payment.body
        else:
            path, body = "/feedback", {
                **named,
                "is_fraud": payment.is_fraud,
                "source": source,
                "known_at": known_at.isoformat(),
            }  # fmt: skip
        reply = self._ask(lambda: self._client.post(path, body))
        if reply is None:
            return
        if reply.status < 300:
            self.tally.count_label()
        else:
            self.tally.count_refused(reply.status)

    def _ask(self, request: Callable[[], Reply]) -> Reply | None:
        """The reply, or None when nothing answered: the traffic goes on, the system may come back."""
        try:
            return request()
        except Unreachable:
            self.tally.count_unreachable()
            return None
