"""What two models said about the same batches: counted in memory, carried to Redis by the heartbeat.

No round trip of its own, and none in the path of a transaction. What a worker counted since its last heartbeat is lost
with it: the guard looks at thousands.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import redis

from config import names
from ml.features.compiled import Floats
from ml.guard.counts import BINS, KEPT_MINUTES, SCORE_EDGES

KEPT_S: Final = 60 * KEPT_MINUTES
_EDGES: Final = np.array(SCORE_EDGES)
Pair = tuple[str, str]


class PairTally:
    """Counters by pair of digests (champion, challenger). Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Pair, Counter[str]] = {}

    def add(self, champion: str, challenger: str, counts: Mapping[str, int]) -> None:
        """Count one batch."""
        with self._lock:
            self._counts.setdefault((champion, challenger), Counter()).update(counts)

    def write(self, pipe: redis.client.Pipeline) -> None:
        """Queue everything counted so far on `pipe`, and begin anew."""
        with self._lock:
            counted, self._counts = self._counts, {}
        minute = int(time.time() // 60)
        for (champion, challenger), counts in counted.items():
            key = names.pair_key(champion, challenger, minute)
            for name, count in counts.items():
                if count:
                    pipe.hincrby(key, name, count)
            pipe.expire(key, KEPT_S)


def count_pair(
    ours: Floats, theirs: Floats | None, *, reviews: tuple[float, float], took_s: tuple[float, float], taken: int
) -> dict[str, int]:
    """The flat counters of one batch, as `ml.guard.counts` reads them.

    `ours`, `theirs`: (n,) probabilities of champion and challenger; None: the challenger failed. `reviews`: their
    review thresholds. `took_s`: seconds each took. `taken`: rows that the challenger decided.
    """
    if theirs is None:
        return {"rows": len(ours), "challenger_failed": len(ours), "champion_decided": len(ours)}
    alerts, other = ours >= reviews[0], theirs >= reviews[1]
    counts: dict[str, Any] = {
        "rows": len(ours),
        "champion_us": took_s[0] * 1e6,
        "challenger_us": took_s[1] * 1e6,
        "champion_alerts": alerts.sum(),
        "challenger_alerts": other.sum(),
        "champion_alone": (alerts & ~other).sum(),
        "challenger_alone": (other & ~alerts).sum(),
        "champion_decided": len(ours) - taken,
        "challenger_decided": taken,
        **_bins("champion", ours),
        **_bins("challenger", theirs),
    }
    return {name: int(count) for name, count in counts.items()}


def _bins(side: str, probabilities: Floats) -> dict[str, int]:
    placed = np.bincount(np.searchsorted(_EDGES, probabilities, side="right"), minlength=BINS)
    return {f"{side}_bin_{number}": count for number, count in enumerate(placed.tolist())}
