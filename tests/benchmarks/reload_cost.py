"""What payments feel of reloads: the same load with and without a reload each second, by turns, on a running Tollgate.

`python -m tests.benchmarks.reload_cost URL ROUNDS [RATE]` prints, as JSON, statuses, errors and latency (ms; median and
least to largest over the rounds) of windows without and with reloads, and the ratios of the windows' p99.
"""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from deploy.bench.load import Load, run_load
from deploy.bench.tally import LoadResult

SECONDS = 5.0
EVERY_S = 1.0
CONNECTIONS = 32


def main() -> None:
    """Measure and print."""
    url, rounds = sys.argv[1].rstrip("/"), int(sys.argv[2])
    rate = float(sys.argv[3]) if len(sys.argv) > 3 else 100.0
    load = Load(f"{url}/predict", bodies="history", connections=CONNECTIONS, rate=rate, seconds=SECONDS, warm_up_s=1.0)
    quiet, reloading, answers = [], [], Counter[str]()
    for _ in range(rounds):
        quiet.append(run_load(load))
        with reloads(url, answers):
            reloading.append(run_load(load))
    ratios = [after.latency_ms.p99 / before.latency_ms.p99 for before, after in zip(quiet, reloading, strict=True)]
    report = {"reloads": dict(answers), "p99_ratio": spread(ratios)}
    report |= {"without": summary(quiet), "with": summary(reloading)}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


@contextmanager
def reloads(url: str, answers: Counter[str]) -> Iterator[None]:
    """Ask every worker to load the champion again, each second, until the block ends; `answers` counts the statuses."""
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(EVERY_S):
            with urllib.request.urlopen(urllib.request.Request(f"{url}/reload-model", method="POST")) as answer:
                answers[str(answer.status)] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def summary(windows: Sequence[LoadResult]) -> dict[str, object]:
    """What was answered over all windows, and how fast."""
    statuses = sum((Counter(one.statuses) for one in windows), Counter[str]())
    errors = sum((Counter(one.errors) for one in windows), Counter[str]())
    return {
        "statuses": dict(statuses),
        "errors": dict(errors),
        "timeouts": sum(one.timeouts for one in windows),
        "p50_ms": spread([one.latency_ms.p50 for one in windows]),
        "p99_ms": spread([one.latency_ms.p99 for one in windows]),
    }


def spread(figures: Sequence[float]) -> dict[str, float]:
    """Median, least and largest."""
    return {"median": round(median(figures), 2), "low": round(min(figures), 2), "high": round(max(figures), 2)}


if __name__ == "__main__":
    main()
