"""A day of transactions up and its scores down; a day of labels up, and a wait until history has them."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from deploy.bench.site import fetch
from deploy.bulk.patience import Patience
from deploy.bulk.scoring import ScoringRun
from deploy.bulk.server import BulkServer
from deploy.bulk.source import prepare
from deploy.traffic.client import JsonClient

SETTLED_WITHIN_S: Final = 600.0
POLL_S: Final = 0.05
WAITING: Final = "tollgate_inbox_entries"

Rows = Iterable[Mapping[str, Any]]


class Stream:
    """One server. `scratch`: a directory for what goes up and comes down."""

    def __init__(self, port: int, scratch: Path) -> None:
        self._port = port
        self._server = BulkServer(f"http://127.0.0.1:{port}", timeout_s=120.0)
        self._client = JsonClient(f"http://127.0.0.1:{port}", timeout_s=30.0)
        self._scratch = scratch

    def score_batch(self, rows: Rows) -> dict[str, float]:
        """Transaction id -> fraud probability, through POST /batches, in the order given.

        Raises:
            click.ClickException: a row was refused. BatchRefused, Unreachable.
        """
        with tempfile.TemporaryDirectory(dir=self._scratch) as directory:
            upload, results = Path(directory) / "rows.ndjson", Path(directory) / "results.ndjson"
            _write(upload, rows)
            run = ScoringRun(self._server, prepare(upload, "ndjson", Path(directory)), Patience(), _Unseen())
            batch = run.follow(run.submit())
            counts = batch["request_counts"]
            if batch["status"] != "completed" or counts["failed"]:
                raise click.ClickException(f"a day of transactions ended as {batch['status']}: {counts}")
            run.fetch(f"/batches/{batch['id']}/results", results)
            return dict(_probabilities(results))

    def score_each(self, rows: Rows) -> dict[str, float]:
        """The same through POST /predict, one after the other on one connection."""
        found = {}
        for row in rows:
            reply = self._client.post("/predict", dict(row), {"Prefer": "wait=30"})
            if reply.status != 200:
                raise click.ClickException(f"{row['TRANSACTION_ID']}: {reply.status} {reply.body}")
            found[reply.body["transaction_id"]] = float(reply.body["fraud_probability"])
        return found

    def label(self, rows: Rows) -> None:
        """Send labels through POST /feedback, and return once all of them are part of the history.

        Raises:
            click.ClickException: one was refused, or they are not recorded within ten minutes.
        """
        with tempfile.TemporaryDirectory(dir=self._scratch) as directory:
            upload = Path(directory) / "labels.ndjson"
            _write(upload, rows)
            with upload.open("rb") as file:
                headers = {"Content-Type": "application/x-ndjson"}
                answer = self._server.upload("/feedback", file, upload.stat().st_size, headers, lambda _: None)
        if answer.status != 202:
            raise click.ClickException(f"labels were refused: {answer.why or answer.body}")
        self._settle()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _settle(self) -> None:
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while waiting := gauge(fetch(self._port, "/prometheus"), WAITING):
            if time.monotonic() > deadline:
                raise click.ClickException(f"{waiting:.0f} pieces of accepted work do not get done")
            time.sleep(POLL_S)


def gauge(exposition: str, name: str) -> float:
    """The value of a metric without labels. Raises LookupError: there is none of that name."""
    for line in exposition.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise LookupError(f"GET /prometheus has no {name}")


def rfc3339(time_s: float) -> str:
    """Unix seconds as the API takes them."""
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")


def _write(path: Path, rows: Rows) -> None:
    encode: Callable[[Any], bytes] = msgspec.json.encode
    with path.open("wb") as file:
        file.writelines(encode(row) + b"\n" for row in rows)


def _probabilities(results: Path) -> Iterable[tuple[str, float]]:
    with results.open("rb") as file:
        for line in file:
            row = json.loads(line)
            yield row["transaction_id"], float(row["fraud_probability"])


class _Unseen:
    """Nobody watches a single day."""

    def uploading(self, done: int, total: int) -> None:
        """Nothing is shown."""

    def scoring(self, batch: dict[str, Any]) -> None:
        """Nothing is shown."""

    def downloading(self, done: int) -> None:
        """Nothing is shown."""
