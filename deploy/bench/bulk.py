"""Bulk, measured: a batch from its first byte sent to its last result read, beside the plain queue in the same run.

A batch alone gives throughput and memory; a second one, with payments coming in one by one meanwhile, gives what an
interactive client notices of it.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from deploy.bench.bodies import payment
from deploy.bench.plan import Plan
from deploy.bench.processes import ProcessTrees
from deploy.bench.runner import generate
from deploy.bench.servers import Server, plain_queue, tollgate
from deploy.bench.site import Site
from deploy.bench.tally import LoadResult
from deploy.launcher.processes import QUIET, python

SAMPLE_S = 0.5
POLL_S = 0.2
SETTLED_S = 3.0
TIMEOUT_S = 1800
READ_BYTES = 1 << 20
ENDED = ("completed", "failed", "cancelled", "expired")


@dataclass(frozen=True, slots=True)
class BulkPlan:
    """`rows`: of the batch that is measured alone; `rows_beside`: of the one with interactive load; rate per second."""

    rows: int = 1_000_000
    rows_beside: int = 300_000
    rate: int = 100
    idle_s: float = 20.0
    plain_rounds: int = 5
    repetitions: int = 2


@dataclass(frozen=True, slots=True)
class BulkRun:
    """One repetition. Rows per second over the whole way; memory in MB, the most seen, by kind of process."""

    repetition: int
    plain_rows_s: list[float]
    rows: int
    rows_s: float
    upload_s: float
    scoring_s: float
    download_s: float
    in_ledger: int
    memory_mb: dict[str, float]
    idle: LoadResult
    beside: LoadResult
    beside_rows_s: float


@dataclass(slots=True)
class MemoryWatch:
    """Samples the memory of a server's processes until `stop`; keeps the most that was seen of each kind."""

    pids: Sequence[int]
    most_mb: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Sample until stopped; to be run on a thread."""
        while not self._stop.wait(SAMPLE_S):
            for kind, used_mb in ProcessTrees(self.pids).memory_mb_by_kind().items():
                self.most_mb[kind] = max(self.most_mb[kind], used_mb)

    def stop(self) -> None:
        """End the sampling."""
        self._stop.set()


def run_bulk(plan: BulkPlan, site: Site, *, advance: Callable[[str], None]) -> list[BulkRun]:
    """Every repetition of `plan`. Raises click.ClickException: a server does not start, or a batch does not end."""
    upload = site.work_dir / "rows.ndjson"
    write_rows(upload, plan.rows, first=0)
    beside = site.work_dir / "rows-beside.ndjson"
    write_rows(beside, plan.rows_beside, first=plan.rows)
    runs = []
    for repetition in range(1, plan.repetitions + 1):
        plain = plain_rounds(plan, site)
        advance(f"plain queue, 20 tasks of 500 rows: {max(plain):,.0f} rows/s at best")
        runs.append(_measure(plan, site, repetition, plain, upload, beside))
        advance(f"Tollgate, {plan.rows:,} rows: {runs[-1].rows_s:,.0f} rows/s, all of them in the ledger")
    return runs


def write_rows(path: Path, count: int, *, first: int) -> None:
    """`count` payments with ids of their own, one to a line."""
    rng = random.Random(first + 7)  # noqa: S311 - rows of a benchmark, no secret
    with path.open("w") as file:
        for number in range(first, first + count):
            file.write(json.dumps({"transaction_id": f"bench-{number}", **payment(rng)}) + "\n")


def plain_rounds(plan: BulkPlan, site: Site) -> list[float]:
    """Rows per second of the plain queue, round by round."""
    with plain_queue(site) as server:
        argv = [*python("tests.benchmarks.plain_bulk", str(plan.plain_rounds))]
        done = subprocess.run(  # noqa: S603 - our own argv
            argv,
            cwd=site.repository,
            env={**os.environ, **QUIET, **server.env},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    if done.returncode:
        raise click.ClickException(f"the plain queue failed:\n{done.stderr}")
    rounds: list[float] = json.loads(done.stdout)
    return rounds


def _measure(plan: BulkPlan, site: Site, repetition: int, plain: list[float], upload: Path, beside: Path) -> BulkRun:
    with tollgate(site) as server:
        load = Plan(open_connections=64, seconds=plan.idle_s, warm_up_s=2.0, timeout_s=10.0)
        idle = generate(load, server, connections=load.open_connections, rate=plan.rate)
        before = settled_ledger(server)
        with memory_watched(server) as watch:
            alone = time_batch(server, upload)
        in_ledger = decisions_in_ledger(server) - before
        during, beside_rows_s = _with_load(plan, server, beside)
    return BulkRun(
        repetition=repetition,
        plain_rows_s=plain,
        rows=plan.rows,
        rows_s=plan.rows / alone.total_s,
        upload_s=alone.upload_s,
        scoring_s=alone.scoring_s,
        download_s=alone.download_s,
        in_ledger=in_ledger,
        memory_mb={kind: round(used, 1) for kind, used in sorted(watch.most_mb.items())},
        idle=idle,
        beside=during,
        beside_rows_s=beside_rows_s,
    )


@contextmanager
def memory_watched(server: Server) -> Iterator[MemoryWatch]:
    """Sample the server's memory for the length of the block."""
    watch = MemoryWatch(server.pids)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()


def _with_load(plan: BulkPlan, server: Server, upload: Path) -> tuple[LoadResult, float]:
    """Interactive load for as long as a batch runs, and the batch's rows per second meanwhile."""
    batch_id, _ = send(server.port, upload)
    started = time.perf_counter()
    load = Plan(open_connections=64, seconds=plan.idle_s, warm_up_s=2.0, timeout_s=10.0)
    during = generate(load, server, connections=load.open_connections, rate=plan.rate)
    done = status_of(server.port, batch_id)["request_counts"]["completed"]
    rows_s = done / (time.perf_counter() - started)
    wait_for(server.port, batch_id)
    return during, rows_s


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """Seconds of one batch's way."""

    upload_s: float
    scoring_s: float
    download_s: float

    @property
    def total_s(self) -> float:
        return self.upload_s + self.scoring_s + self.download_s


def time_batch(server: Server, upload: Path) -> BatchTimes:
    """Send a batch, wait for it, read its results. Raises click.ClickException: rows are missing at the end."""
    batch_id, upload_s = send(server.port, upload)
    started = time.perf_counter()
    status = wait_for(server.port, batch_id)
    scoring_s = time.perf_counter() - started
    started = time.perf_counter()
    lines = count_results(server.port, batch_id)
    counts = status["request_counts"]
    if not lines == counts["completed"] == counts["total"]:
        raise click.ClickException(f"the batch ended with {lines} results: {status}")
    return BatchTimes(upload_s, scoring_s, time.perf_counter() - started)


def send(port: int, upload: Path) -> tuple[str, float]:
    """POST the file; the batch's id and how long it took."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    headers = {"Content-Type": "application/x-ndjson", "Content-Length": str(upload.stat().st_size)}
    with upload.open("rb") as body:
        connection.request("POST", "/batches", body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    if response.status != 202:
        raise click.ClickException(f"POST /batches answered {response.status}: {answer}")
    return str(answer["id"]), time.perf_counter() - started


def status_of(port: int, batch_id: str) -> dict[str, Any]:
    """GET /batches/{id}."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"/batches/{batch_id}")
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def wait_for(port: int, batch_id: str) -> dict[str, Any]:
    """Poll until the batch has ended."""
    deadline = time.monotonic() + TIMEOUT_S
    while (status := status_of(port, batch_id))["status"] not in ENDED:
        if time.monotonic() > deadline:
            raise click.ClickException(f"the batch does not end: {status}")
        time.sleep(POLL_S)
    return status


def count_results(port: int, batch_id: str) -> int:
    """Read all results; how many lines there were."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("GET", f"/batches/{batch_id}/results")
    response = connection.getresponse()
    lines = 0
    while block := response.read(READ_BYTES):
        lines += block.count(b"\n")
    connection.close()
    return lines


def settled_ledger(server: Server) -> int:
    """How many decisions the ledger holds once those of the load before have arrived there."""
    last = decisions_in_ledger(server)
    while True:
        time.sleep(SETTLED_S)
        now = decisions_in_ledger(server)
        if now == last:
            return now
        last = now


def decisions_in_ledger(server: Server) -> int:
    """How many decisions the ledger holds, as GET /metrics says."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics", headers={"Accept": "application/json"})
    summary = json.loads(connection.getresponse().read())
    connection.close()
    return int(summary["decisions"]["decisions"])
