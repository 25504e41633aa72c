"""What the model keeps to go over again: bounded, thinned, and still true to proportion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ml.features.compiled import Floats
from ml.incremental.lessons import Lessons

DAY_S: Final = 86_400.0
MOST_FRAUDS: Final = 5_000
MOST_GENUINE: Final = 20_000
HALF_LIFE_S: Final = 14 * DAY_S
KEPT_S: Final = 6 * HALF_LIFE_S
"""Older lessons weigh 1/64 and less; they are let go."""
FRAUD_SHARE: Final = 0.1
"""Of a draw, at least this much is fraud: else a pass over rare fraud sees hardly any."""


@dataclass(frozen=True, slots=True)
class Memory:
    """`lessons`: one per transaction, the last verdict about it. `share`: of the genuine ones, those whose lot is below
    are kept, each for 1 / share. `matured_s`: event time up to which decisions have matured.
    """

    lessons: Lessons
    share: float = 1.0
    matured_s: float = -np.inf

    def with_new(self, new: Lessons, *, matured_s: float) -> Memory:
        """The memory with new lessons in it: a revised verdict takes the old one's place, what is too much goes."""
        kept = self.lessons.take(~np.isin(self.lessons.ids, new.ids)).join(new)
        recent = kept.times > matured_s - KEPT_S
        return _thinned(_newest_frauds(kept.take(recent)), self.share, matured_s)

    def weights(self) -> Floats:
        """(n,) how much each lesson counts now: for how many it stands, half as much every `HALF_LIFE_S`.

        Frauds are known before their genuine neighbours are; all of them together weigh what the matured ones do, so
        that the level stays right.
        """
        lessons = self.lessons
        genuine = lessons.y == 0
        age_s = np.maximum(self.matured_s - lessons.times, 0.0)
        weight: Floats = lessons.weight * np.where(genuine, 1 / self.share, 1.0) * 0.5 ** (age_s / HALF_LIFE_S)
        early = ~genuine & (lessons.times > self.matured_s)
        matured, all_of_them = weight[~genuine & ~early].sum(), weight[~genuine].sum()
        if matured:
            weight[~genuine] *= matured / all_of_them
        return weight

    def matured(self) -> tuple[Lessons, Floats]:
        """The lessons that have matured, frauds and genuine ones alike, and (n,) for how many each stands."""
        lessons = self.lessons.take(self.lessons.times <= self.matured_s)
        return lessons, lessons.weight * np.where(lessons.y == 0, 1 / self.share, 1.0)


def draw_plan(memory: Memory) -> tuple[Floats, Floats]:
    """(n,) chance of each lesson in a draw, and (n,) what it then weighs so that draws are right on average.

    Frauds are drawn more often than they occur and weigh less for it: classes are balanced without moving the prior.
    """
    wanted = memory.weights()
    wanted = wanted / wanted.sum()
    fraud = memory.lessons.y > 0
    of_fraud = wanted[fraud].sum()
    boost = FRAUD_SHARE if 0 < of_fraud < FRAUD_SHARE else 0.0
    chance = (1 - boost) * wanted
    if boost:
        chance[fraud] += boost * wanted[fraud] / of_fraud
    return chance, np.divide(wanted, chance, out=np.zeros_like(wanted), where=chance > 0)


def _newest_frauds(lessons: Lessons) -> Lessons:
    frauds = np.flatnonzero(lessons.y > 0)
    surplus = frauds[np.argsort(lessons.times[frauds], kind="stable")][: max(0, len(frauds) - MOST_FRAUDS)]
    kept = np.ones(len(lessons), dtype=bool)
    kept[surplus] = False
    return lessons.take(kept)


def _thinned(lessons: Lessons, share: float, matured_s: float) -> Memory:
    """With half the share of genuine ones until they fit: those that stay then stand for twice as many."""
    lessons = lessons.take((lessons.y > 0) | (lessons.lot < share))
    while np.count_nonzero(lessons.y == 0) > MOST_GENUINE:
        share /= 2
        lessons = lessons.take((lessons.y > 0) | (lessons.lot < share))
    return replace(Memory(lessons), share=share, matured_s=matured_s)
