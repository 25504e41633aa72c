"""What a published bundle is like: does it still score as it was fitted, how large, how fast?"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

import numpy as np

from ml.bundle import GOLDEN, Bundle
from ml.features.compiled import Floats
from ml.gate.evidence import Build

BATCH: Final = 64
RUNS: Final = 7


def measure_build(bundle: Bundle, directory: Path) -> Build:
    """The facts that the gate has budgets for. Takes some milliseconds."""
    golden = json.loads((directory / GOLDEN).read_bytes())
    rows = np.array([[np.nan if value is None else value for value in row] for row in golden["rows"]], dtype=np.float64)
    stored = np.array(golden["probabilities"])
    scores = (bundle.score(rows), bundle.reference(rows))
    return Build(
        golden_difference=max(float(np.max(np.abs(found - stored))) for found in scores),
        size_bytes=sum(path.stat().st_size for path in directory.iterdir() if path.is_file()),
        latency_us=_latency_us(bundle, np.resize(rows, (BATCH, rows.shape[1]))),
    )


def _latency_us(bundle: Bundle, X: Floats) -> float:
    """The quickest of some batches, per row: what other work on the machine takes is not the model's fault."""
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        bundle.score(X)
        taken.append(time.perf_counter() - started)
    return 1e6 * min(taken) / len(X)
