"""What a challenger beside the champion costs: the same batches with and without one, by turns, on a real broker.

`python -m tests.benchmarks.shadow_cost MODEL_DIR ROUNDS` prints, per batch size, microseconds per batch without and
with a shadow (wall clock; processor of this process), and the ratios with their spread over the rounds, as JSON.
MODEL_DIR: a store with bundles of the payment schema; the two newest are used, one twice where there is no second.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from uuid import uuid4

import redis

from config.contracts import ChallengerPointer, ScoreRow
from config.settings import Settings
from ml.bundle import Bundle, load_bundle
from ml.policy import Policy
from ml.registry import find_bundles
from tests.servers import running_valkey
from workers.pair import PairScorer
from workers.pair_counts import PairTally
from workers.scorer import BatchScorer
from workers.store import TransactionStore

SIZES = (1, 32, 128)
BATCHES = 30
KINDS = ("online", "grocery", "fuel", "travel")


def main() -> None:
    """Measure and print."""
    model_dir, rounds = Path(sys.argv[1]), int(sys.argv[2])
    bundles = [load_bundle(model_dir / stored.path) for stored in find_bundles(model_dir)[:2]]
    champion, challenger = bundles[0], bundles[-1]
    with running_valkey() as server, redis.Redis.from_url(server.url) as client:
        store = TransactionStore(client, Settings())
        alone, pair = scorers(champion, challenger)
        for size in SIZES:
            sys.stdout.write(json.dumps({"rows": size, **compare(store, alone, pair, size, rounds)}) + "\n")
            sys.stdout.flush()


def scorers(champion: Bundle, challenger: Bundle) -> tuple[BatchScorer, PairScorer]:
    """The champion alone, and with the challenger in its shadow."""
    first, second = (BatchScorer(one, Policy(), explain_above=0.3, reasons_max=5) for one in (champion, challenger))
    since = datetime.now(UTC).isoformat()
    pointer = ChallengerPointer(
        challenger.model_version, challenger.digest, challenger.model_version, "shadow", champion.digest, since
    )
    return first, PairScorer(first, second, pointer, PairTally())


def compare(store: TransactionStore, alone: BatchScorer, pair: PairScorer, size: int, rounds: int) -> dict[str, object]:
    """Batch by batch in turns, so that a noisy neighbour meets both. The first round warms up."""
    rng = random.Random(7)
    measured = [one_round(store, alone, pair, size, rng) for _ in range(rounds + 1)][1:]
    wall, cpu = ([with_[at] / without[at] for without, with_ in measured] for at in (0, 1))
    return {
        "wall_us": [round(median(one[side][0] for one in measured)) for side in (0, 1)],
        "cpu_us": [round(median(one[side][1] for one in measured)) for side in (0, 1)],
        "wall_ratio": spread(wall),
        "cpu_ratio": spread(cpu),
    }


def one_round(
    store: TransactionStore, alone: BatchScorer, pair: PairScorer, size: int, rng: random.Random
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Median (wall, processor) microseconds of a batch, without and with the shadow."""
    taken: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    for _ in range(BATCHES):
        for scorer, times in zip((alone, pair), taken, strict=True):
            times.append(batch_us(store, scorer, size, rng))
    without, with_ = ((median(one[0] for one in times), median(one[1] for one in times)) for times in taken)
    return without, with_


def batch_us(
    store: TransactionStore, scorer: BatchScorer | PairScorer, size: int, rng: random.Random
) -> tuple[float, float]:
    """One batch as a worker does it: observe, score, commit."""
    names = [field.name for field in scorer.spec.schema.fields]
    rows = [row(rng, names) for _ in range(size)]
    started, used = perf_counter(), thread_time()
    store.commit(scorer.finish(store.observe(rows, scorer.spec)), reply_to="bench", batch_id=1)
    return 1e6 * (perf_counter() - started), 1e6 * (thread_time() - used)


def spread(ratios: list[float]) -> dict[str, float]:
    """Median, least and largest."""
    return {"median": round(median(ratios), 3), "low": round(min(ratios), 3), "high": round(max(ratios), 3)}


def row(rng: random.Random, field_names: Sequence[str]) -> ScoreRow:
    """A payment by one of some thousand accounts, now."""
    by_name = {"amount": round(rng.lognormvariate(3, 1), 2), "merchant_category": rng.choice(KINDS),
               "account_id": f"a{rng.randrange(5000)}", "merchant_id": f"m{rng.randrange(300)}"}  # fmt: skip
    values = [by_name.get(name) for name in field_names]
    return ScoreRow(uuid4().hex, uuid4().hex[:16], 0, int(datetime.now(UTC).timestamp() * 1000), values)


if __name__ == "__main__":
    main()
