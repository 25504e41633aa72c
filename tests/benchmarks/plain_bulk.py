"""How fast the plain queue scores many payments: 20 tasks of 500 rows, sent at once, waited for together.

`python -m tests.benchmarks.plain_bulk ROUNDS` prints rows per second of each round, as JSON. The worker of
`tests.benchmarks.plain_queue` must be running at `BENCH_REDIS_URL`. No validation, no ledger, nothing durable.
"""

from __future__ import annotations

import json
import random
import sys
from time import perf_counter

from celery import group

from deploy.bench.bodies import payment
from tests.benchmarks.plain_queue import score_payments

TASKS = 20
ROWS_PER_TASK = 500
TIMEOUT_S = 120


def measure(rng: random.Random) -> float:
    """Rows per second of one round, from the first message to the last result."""
    slices = [[payment(rng) for _ in range(ROWS_PER_TASK)] for _ in range(TASKS)]
    started = perf_counter()
    scored = group(score_payments.s(rows) for rows in slices).apply_async().get(timeout=TIMEOUT_S)
    took_s = perf_counter() - started
    rows = sum(len(part) for part in scored)
    if rows != TASKS * ROWS_PER_TASK:
        raise RuntimeError(f"{rows} rows came back of {TASKS * ROWS_PER_TASK}")
    return rows / took_s


def main() -> None:
    """One unmeasured round, then as many as asked for."""
    rng = random.Random(7)
    measure(rng)
    sys.stdout.write(json.dumps([measure(rng) for _ in range(int(sys.argv[1]))]) + "\n")


if __name__ == "__main__":
    main()
