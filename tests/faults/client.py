"""Clients that remember what they were told. What they were told is what the checks hold Tollgate to."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.payments import Payment

ANSWER_LIMIT_S = 20.0
RETRY_S = 0.05
POLL_S = 0.05
ACCEPTED = (200, 202)


class Attempt(NamedTuple):
    """One request: when it was sent (monotonic seconds), how long its answer took, and its status; 0 for no answer."""

    sent_at: float
    took_s: float
    status: int
    transaction_id: str


@dataclass
class Told:
    """What the clients of one scenario sent and were told.

    `decided`: the decision of each 200; `pending`: ids that got 202; `sent`: everything that was ever sent;
    `refusals`: how often each problem was the answer, in its own words.
    `timeouts`: requests that got no answer for 20 s, which must never happen while the web side is up.
    `connections_refused`: how often nobody listened; those requests are among the ones without an answer too.
    """

    sent: dict[str, Payment] = field(default_factory=dict)
    decided: dict[str, Any] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    attempts: list[Attempt] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    contradictions: list[str] = field(default_factory=list)
    timeouts: int = 0
    connections_refused: int = 0

    @property
    def accepted(self) -> set[str]:
        """Ids that must have exactly one stored decision."""
        return self.pending | self.decided.keys()

    @property
    def statuses(self) -> Counter[int]:
        """How often each status was answered; 0 counts requests without an answer."""
        return Counter(attempt.status for attempt in self.attempts)

    def took_ms(self, *statuses: int, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """How long answers with these statuses (any, when none is given) took, of requests sent in this time."""
        return [
            one.took_s * 1000
            for one in self.attempts
            if since <= one.sent_at < until and (one.status in statuses if statuses else one.status)
        ]

    def note(self, payment: Payment, attempt: Attempt, body: bytes) -> None:
        """Remember one attempt."""
        self.sent[payment.transaction_id] = payment
        self.attempts.append(attempt)
        if attempt.status == 202:
            self.pending.add(payment.transaction_id)
        elif attempt.status == 200:
            decision = json.loads(body)
            if self.decided.setdefault(payment.transaction_id, decision) != decision:
                self.contradictions.append(payment.transaction_id)
        elif attempt.status:
            self.refusals[body.decode(errors="replace").partition('"detail":')[2][:120]] += 1


class Connection:
    """One keep-alive connection to the web side, opened again when it was lost."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_LIMIT_S)

    def send(self, payment: Payment, told: Told) -> int:
        """Send one payment and note the answer; its status, 0 when the connection was refused, reset or timed out."""
        headers = {"Content-Type": "application/json"} | ({"Prefer": "respond-async"} if payment.is_async else {})
        sent_at = time.monotonic()
        try:
            self._http.request("POST", "/predict", payment.body, headers)
            answer = self._http.getresponse()
            status, body = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            told.timeouts += isinstance(error, TimeoutError)
            told.connections_refused += isinstance(error, ConnectionRefusedError)
            self._http.close()
            status, body = 0, b""
        told.note(payment, Attempt(sent_at, time.monotonic() - sent_at, status, payment.transaction_id), body)
        return status

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET. Raises OSError, HTTPException."""
        self._http.request("GET", path)
        answer = self._http.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        self._http.close()


class Load:
    """Clients, each on a connection and a thread of its own, for the length of a `with` block.

    A payment that is not accepted is sent again, with the same id, until it is (`is_patient`) or dropped. `rate`: about
    this many payments a second in all; None: each client sends the next as soon as it has its answer.
    """

    def __init__(
        self,
        port: int,
        source: Iterator[Payment],
        *,
        clients: int = 12,
        rate: float | None = None,
        is_patient: bool = True,
        told: Told | None = None,
    ) -> None:
        self.told = told or Told()
        self._port = port
        self._source = source
        self._pause_s = clients / rate if rate else 0.0
        self._is_patient = is_patient
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each client finish the request it is in. A payment that is still refused stays unaccepted."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(ANSWER_LIMIT_S + 5)
            assert not thread.is_alive(), "a client hangs"

    def wait_for(self, accepted: int, limit_s: float) -> None:
        """Return when this many payments were accepted, or all clients have run out of payments."""
        self.wait_until(lambda: len(self.told.accepted) >= accepted, limit_s)

    def wait_until(self, is_enough: Callable[[], bool], limit_s: float) -> None:
        """Return when `is_enough` says so or nothing is left to send; fails after `limit_s`."""
        deadline = time.monotonic() + limit_s
        while not is_enough() and any(thread.is_alive() for thread in self._threads):
            assert time.monotonic() < deadline, f"not within {limit_s:.0f} s: {dict(self.told.statuses)}"
            time.sleep(POLL_S)

    def _run(self) -> None:
        connection = Connection(self._port)
        try:
            while not self._stopping.is_set() and (payment := next(self._source, None)) is not None:
                self._deliver(connection, payment)
        finally:
            connection.close()

    def _deliver(self, connection: Connection, payment: Payment) -> None:
        while connection.send(payment, self.told) not in ACCEPTED:
            if not self._is_patient or self._stopping.wait(RETRY_S):
                return
        self._stopping.wait(self._pause_s)


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0..1) of the values do not exceed; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
