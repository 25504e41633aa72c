"""Labels through POST /feedback in pieces of some thousand rows, a few pieces at a time, each safe to send again."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, Literal

import msgspec

from deploy.bulk.patience import Patience
from deploy.bulk.server import Answered, BulkServer
from deploy.traffic.client import Unreachable

PIECE_LABELS: Final = 2000
AHEAD: Final = 2
"""Pieces waiting per connection: enough to keep it busy, few enough to stop soon."""

Outcome = Literal["kept", "unknown", "refused"]
Piece = Sequence[tuple[int, dict[str, Any]]]
"""Labels with the number of their row in the file, from 1."""

_encode = msgspec.json.Encoder(order="sorted").encode
_STATUSES: Final = {"unknown_id": 404, "label_conflict": 409}


@dataclass(slots=True)
class LabelRun:
    """Posts labels. `tally` counts outcomes; `report` hears of every row that was not kept, with its number from 1."""

    server: BulkServer
    patience: Patience
    file_name: str
    report: Callable[[dict[str, Any]], None]
    on_rows: Callable[[int], None]
    connections: int = 2
    tally: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, labels: Iterator[dict[str, Any]]) -> None:
        """Send them all, in no particular order. Raises Unreachable, FileUnusable."""
        waiting: set[Future[None]] = set()
        pool = ThreadPoolExecutor(self.connections)
        numbered = enumerate(labels, start=1)
        try:
            while piece := list(islice(numbered, PIECE_LABELS)):
                if len(waiting) >= AHEAD * self.connections:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for one in done:
                        one.result()
                waiting.add(pool.submit(self._send, piece))
            for one in waiting:
                one.result()
        finally:
            self._is_stopped.set()
            pool.shutdown(cancel_futures=True)

    def _send(self, piece: Piece) -> None:
        """Send a piece; one that is too large, or whose refusals the answer does not all name, goes in halves."""
        answer = self._answer(piece)
        if must_be_halved(answer) and len(piece) > 1:
            middle = len(piece) // 2
            self._send(piece[:middle])
            self._send(piece[middle:])
            return
        problems = problems_of(answer, piece)
        with self._lock:
            self.tally["kept"] += len(piece) - len(problems)
            for problem in problems:
                self.tally[outcome_of(problem["status"])] += 1
                self.report(problem)
            self.on_rows(self.tally.total())

    def _answer(self, piece: Piece) -> Answered:
        body = b"".join([_encode(label) + b"\n" for _, label in piece])
        answer = self._post(body, {"Idempotency-Key": key_of(self.file_name, body)})
        if "idempotency-replayed" in answer.headers and answer.body.get("refused"):
            # What was unknown at the first run may be known by now; what was kept then is not kept twice.
            return self._post(body, {})
        return answer

    def _post(self, body: bytes, key: dict[str, str]) -> Answered:
        patience = replace(self.patience, sleep=self._pause)
        headers = {"Content-Type": "application/x-ndjson", **key}
        return patience.ask(
            lambda: self.server.upload("/feedback", io.BytesIO(body), len(body), headers, lambda _sent: None)
        )

    def _pause(self, seconds: float) -> None:
        """Wait, unless the run has ended: then nobody waits for this piece any more."""
        if self._is_stopped.wait(seconds):
            raise Unreachable("stopped while it waited for the server")


def key_of(file_name: str, body: bytes) -> str:
    """The same for the same rows of the same file, so that a second run changes nothing."""
    return f"labels-{hashlib.sha256(b'%b %b' % (file_name.encode(), body)).hexdigest()}"


def must_be_halved(answer: Answered) -> bool:
    """Whether a smaller piece would get a better answer."""
    return answer.status == 413 or bool(answer.body.get("errors_omitted"))


def problems_of(answer: Answered, piece: Piece) -> list[dict[str, Any]]:
    """A line of the errors file for each label that was not kept: all of them where the piece was refused whole."""
    if answer.status not in (202, 207):
        return [_problem(one, answer.status, answer.body) for one in piece]
    return [_problem(piece[error["line"] - 1], _status_of(error["code"]), error) for error in answer.body["errors"]]


def outcome_of(status: int) -> Outcome:
    """What became of a label that was not kept."""
    return "unknown" if status == 404 else "refused"


def _status_of(code: str) -> int:
    return _STATUSES.get(code, 422)


def _problem(one: tuple[int, dict[str, Any]], status: int, why: dict[str, Any]) -> dict[str, Any]:
    row, label = one
    reasons = {name: why.get(name) for name in ("code", "detail", "errors")}
    return {"row": row, "status": status, "label": label, **reasons}
