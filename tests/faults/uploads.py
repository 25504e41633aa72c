"""A batch of a scenario, as its client sees it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from tests.faults.stack import FaultStack

ENDED = ("completed", "failed", "cancelled", "expired")
ANSWER_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Upload:
    """A batch that was accepted. `path`: where its state is."""

    stack: FaultStack
    path: str

    def report(self) -> dict[str, Any]:
        """The batch as it stands."""
        status, body = request(self.stack, "GET", self.path)
        assert status == 200, body
        report: dict[str, Any] = json.loads(body)
        return report

    def counts(self) -> dict[str, int]:
        """Its rows: total, completed, failed."""
        counts: dict[str, int] = self.report()["request_counts"]
        return counts

    def wait_until_begun(self, limit_s: float) -> int:
        """Return when some of its rows are done; how many."""
        self.stack.wait_until(lambda: self.counts()["completed"] > 0, limit_s)
        return self.counts()["completed"]

    def wait_until_ended(self, limit_s: float) -> None:
        """Return when it has ended in any way."""
        self.stack.wait_until(lambda: self.report()["status"] in ENDED, limit_s)

    def lines(self, what: str) -> list[dict[str, Any]]:
        """Its "results" or its "errors"."""
        status, body = request(self.stack, "GET", f"{self.path}/{what}")
        assert status == 200, body
        return [json.loads(line) for line in body.splitlines()]


def upload(stack: FaultStack, rows: Sequence[bytes]) -> Upload:
    """Send a batch."""
    status, batch = request(stack, "POST", "/batches", b"\n".join(rows) + b"\n")
    assert status == 202, batch
    return Upload(stack, f"/batches/{json.loads(batch)['id']}")


def request(stack: FaultStack, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=ANSWER_LIMIT_S)
    try:
        connection.request(method, path, body, {"Content-Type": "application/x-ndjson"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
