"""A file of labels through POST /feedback: one request per row, a few at a time, each safe to send again."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import msgspec

from deploy.bulk.patience import Patience
from deploy.bulk.source import FileFormat, FileUnusable, parquet_rows
from deploy.traffic.client import JsonClient, Reply, Unreachable

FIELDS: Final = frozenset(
    {"transaction_id", "decision_id", "is_fraud", "source", "reason_code", "known_at", "amount", "label_id"}
)
_FLAGS: Final = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y"), True),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n"), False),
}
AHEAD: Final = 4
"""Requests waiting per connection: enough to keep it busy, few enough to stop soon."""

Outcome = Literal["kept", "unknown", "refused"]


def read_labels(path: Path, form: FileFormat) -> Iterator[dict[str, Any]]:
    """Each row as POST /feedback takes it; columns that are not about the label are left out.

    Raises: FileUnusable (also in the middle: a line that cannot be read at all).
    """
    rows = parquet_rows(path) if form == "parquet" else _read_text(path, form)
    try:
        for row in rows:
            yield as_label(row)
    except (ValueError, csv.Error) as error:
        raise FileUnusable(f"{path} cannot be read: {error}") from error


def as_label(row: dict[str, Any]) -> dict[str, Any]:
    """The label in a row. Text becomes what it stands for; what stands for nothing stays, for the server to refuse.

    >>> as_label({"transaction_id": "t-1", "is_fraud": "1", "amount": "12.5", "city": "Bern", "source": ""})
    {'transaction_id': 't-1', 'is_fraud': True, 'amount': 12.5}
    """
    known = {name: value for name, value in row.items() if name in FIELDS and value not in (None, "")}
    for name, convert in (("is_fraud", _flag), ("amount", _number)):
        if name in known:
            known[name] = convert(known[name])
    for name in ("transaction_id", "decision_id"):
        if name in known:
            known[name] = str(known[name])
    return known


def _flag(value: Any) -> Any:
    return _FLAGS.get(str(value).strip().lower(), value)


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _read_text(path: Path, form: FileFormat) -> Iterator[dict[str, Any]]:
    with _opened(path) as file:
        if form == "csv":
            yield from csv.DictReader(file)
        elif form == "json":
            yield from msgspec.json.decode(file.read(), type=list[dict[str, Any]])
        else:
            yield from (msgspec.json.decode(line, type=dict[str, Any]) for line in file if line.strip())


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with ExitStack() as stack:
        raw: Any = stack.enter_context(path.open("rb"))
        unpacked = stack.enter_context(gzip.open(raw)) if path.suffix.lower() == ".gz" else raw
        yield stack.enter_context(io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline=""))


def key_of(file_name: str, label: dict[str, Any]) -> str:
    """The same for the same row of the same file, so that a second run changes nothing."""
    content = msgspec.json.encode(label, order="sorted")
    return f"label-{hashlib.sha256(b'%b %b' % (file_name.encode(), content)).hexdigest()}"


@dataclass(slots=True)
class LabelRun:
    """Posts labels. `tally` counts outcomes; `report` hears of every row that was not kept, with its number from 1."""

    client: JsonClient
    patience: Patience
    file_name: str
    report: Callable[[dict[str, Any]], None]
    on_row: Callable[[int], None]
    connections: int = 8
    tally: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, labels: Iterator[dict[str, Any]]) -> None:
        """Send them all, in no particular order. Raises Unreachable, FileUnusable."""
        waiting: set[Future[None]] = set()
        pool = ThreadPoolExecutor(self.connections)
        try:
            for number, label in enumerate(labels, start=1):
                if len(waiting) >= AHEAD * self.connections:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for one in done:
                        one.result()
                waiting.add(pool.submit(self._send, number, label))
            for one in waiting:
                one.result()
        finally:
            self._is_stopped.set()
            pool.shutdown(cancel_futures=True)

    def _send(self, number: int, label: dict[str, Any]) -> None:
        headers = {"Idempotency-Key": key_of(self.file_name, label)}
        patience = replace(self.patience, sleep=self._pause)
        reply = patience.ask(lambda: self.client.post("/feedback", label, headers))
        outcome = outcome_of(reply)
        with self._lock:
            self.tally[outcome] += 1
            if outcome != "kept":
                self.report({"row": number, "status": reply.status, "label": label, **_reason(reply)})
            self.on_row(self.tally.total())

    def _pause(self, seconds: float) -> None:
        """Wait, unless the run has ended: then nobody waits for this label any more."""
        if self._is_stopped.wait(seconds):
            raise Unreachable("stopped while it waited for the server")


def outcome_of(reply: Reply) -> Outcome:
    """What became of one label."""
    if reply.status in (200, 202):
        return "kept"
    return "unknown" if reply.status == 404 else "refused"


def _reason(reply: Reply) -> dict[str, Any]:
    return {name: reply.body.get(name) for name in ("code", "detail", "errors")}
