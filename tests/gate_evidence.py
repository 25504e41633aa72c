"""Evidence for tests of the gate: a window of payments, and models that rank them as well as asked."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml.decisions import Thresholds
from ml.evaluation.cost import CostModel, best_thresholds
from ml.features.compiled import Floats
from ml.gate.evidence import Build, Contender, Evidence, Window

DAY_S = 86_400.0
START_S = 1_780_000_000.0
GOOD_BUILD = Build(golden_difference=1e-15, size_bytes=200_000, latency_us=10.0)


def window(n: int = 8000, *, fraud_share: float = 0.05, days: int = 7, seed: int = 0) -> Window:
    """`n` payments of a week; a card has some, and its frauds come together."""
    rng = np.random.default_rng(seed)
    cards = rng.integers(0, n // 6, n)
    bad = rng.random(n // 6) < 3 * fraud_share
    y = (bad[cards] & (rng.random(n) < 1 / 3)).astype(np.float64)
    times = np.sort(START_S + rng.uniform(0, days * DAY_S, n))
    return Window(y, rng.lognormal(3.5, 1.0, n), cards, (times // DAY_S).astype(np.int64), times)


def contender(seen: Window, skill: float, *, seed: int = 1, name: str = "m", noise: Floats | None = None) -> Contender:
    """A calibrated model; `skill` is how far frauds stand out, in standard deviations of `noise`."""
    given = np.random.default_rng(seed).normal(size=len(seen.y)) if noise is None else noise
    signal = given + skill * seen.y
    prior = np.log(seen.y.mean() / (1 - seen.y.mean()))
    probability = 1 / (1 + np.exp(-(prior + skill * signal - skill**2 / 2)))
    thresholds = best_thresholds(seen.y, probability, seen.amount, CostModel())
    return Contender(name, probability, thresholds, START_S - 8 * DAY_S)


def evidence(seen: Window | None = None, **changed: Any) -> Evidence:
    """A challenger that is better than its champion in every respect, but for what is `changed`."""
    seen = seen or window()
    noise = np.random.default_rng(1).normal(size=len(seen.y))
    given: dict[str, Any] = {
        "window": seen,
        "champion": contender(seen, 1.8, name="old", noise=noise),
        "challenger": contender(seen, 2.6, name="new", noise=noise),
        "linear": contender(seen, 1.0, seed=3).probability,
        "build": GOOD_BUILD,
        "as_of_s": seen.end_s + 8 * DAY_S,
    }
    return Evidence(**(given | changed))


def with_thresholds(one: Contender, review: float, decline: float) -> Contender:
    """The same model, deciding otherwise."""
    return Contender(one.model_version, one.probability, Thresholds(review, decline), one.trained_until_s)
