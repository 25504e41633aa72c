"""Payments as arrays: what the parts of the simulator hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ml.simulator.population import Floats, Integers

DAY_S = 86_400.0
HONEST = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time: `start_s` Unix seconds, `days` long."""

    start_s: float
    days: float

    @property
    def end_s(self) -> float:
        return self.start_s + self.days * DAY_S

    def within(self, at_s: Floats) -> Floats:
        """Times pushed back to inside, to the millisecond."""
        return np.floor(np.clip(at_s, self.start_s, self.end_s - 0.001) * 1000) / 1000


@dataclass(frozen=True, slots=True)
class Stream:
    """n payments: arrays (n,). `at_s` Unix seconds; `pattern` names the kind of fraud, "" for an honest payment."""

    at_s: Floats
    account: Integers
    merchant: Integers
    category: Integers
    amount: Floats
    pattern: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.at_s)

    def take(self, rows: Integers | NDArray[np.bool_]) -> Stream:
        """The payments at these places, in that order."""
        return Stream(*(getattr(self, field.name)[rows] for field in fields(self)))


def join(*streams: Stream) -> Stream:
    """All payments of some streams, in time order (ties in the order given)."""
    together = Stream(
        *(np.concatenate([getattr(stream, field.name) for stream in streams]) for field in fields(Stream))
    )
    return together.take(np.argsort(together.at_s, kind="stable"))


def patterns(name: str, count: int) -> NDArray[np.object_]:
    """One pattern name, `count` times."""
    return np.full(count, name, dtype=object)


def draw_rows(weights: Floats, rng: np.random.Generator) -> Integers:
    """For each row of `weights` (n, k), one column drawn in proportion to its weights: (n,)."""
    cumulative = np.cumsum(weights, axis=1)
    drawn = rng.random(len(weights)) * cumulative[:, -1]
    columns: Integers = (cumulative < drawn[:, None]).sum(axis=1).astype(np.int64)
    last: Integers = np.minimum(columns, weights.shape[1] - 1)
    return last
