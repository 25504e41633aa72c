"""What the gate looks at: one later window, seen by neither model, and both models' scores on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.decisions import Thresholds
from ml.features.compiled import Floats, Integers


@dataclass(frozen=True, slots=True)
class Window:
    """Matured, labelled transactions: arrays (n,) in time order.

    `y`: 0 or 1. `amount`: money, no gaps. `cards`: codes of the first entity, -1 without one. `days`: day number.
    `times`: event time, Unix seconds. `known_cards`: cards whose fraud was known before the window.
    `weight`: how many transactions each stands for; None: one each.
    """

    y: Floats
    amount: Floats
    cards: Integers
    days: Integers
    times: Floats
    known_cards: frozenset[int] = frozenset()
    weight: Floats | None = None

    def __post_init__(self) -> None:
        sizes = {len(part) for part in (self.y, self.amount, self.cards, self.days, self.times)}
        if len(sizes) != 1 or not len(self.y):
            raise ValueError(f"a window needs arrays of one length above 0, got lengths {sorted(sizes)}")

    @property
    def frauds(self) -> int:
        return int(self.y.sum())

    @property
    def start_s(self) -> float:
        return float(np.min(self.times))

    @property
    def end_s(self) -> float:
        return float(np.max(self.times))


@dataclass(frozen=True, slots=True)
class Contender:
    """A model on the window. `probability`: (n,) calibrated, 0..1, from features as they were served.

    `trained_until_s`: event time of the newest transaction that it learned from, was calibrated or got thresholds
    on; None when its data had no clock.
    """

    model_version: str
    probability: Floats
    thresholds: Thresholds
    trained_until_s: float | None


@dataclass(frozen=True, slots=True)
class Build:
    """The challenger's bundle. `golden_difference`: largest difference between compiled trees, scikit-learn and the
    stored golden probabilities; `size_bytes`: all its files; `latency_us`: scoring time per row.
    """

    golden_difference: float
    size_bytes: int
    latency_us: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is decided on. `linear`: (n,) scores of a linear model fitted on what the challenger could have
    learned from. `as_of_s`: now, Unix seconds; `champion_age_s`: since the champion was promoted.
    """

    window: Window
    champion: Contender
    challenger: Contender
    linear: Floats
    build: Build
    as_of_s: float
    champion_age_s: float = 0.0
