"""The incremental model on a replayed stream: a step a day, by the production step, beside the champion of the week."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ml.bundle import Bundle
from ml.features.compiled import Floats
from ml.features.spec import FeatureSpec
from ml.incremental.learner import State, fresh_state, go_on
from ml.incremental.lessons import Lessons
from ml.training.served import ServedRows

DAY_S: Final = 86_400.0
SEED: Final = 0


@dataclass(slots=True)
class IncrementalLine:
    """Remembers between weeks. `learned_until_s`: event time of the newest lesson."""

    state: State
    learned_until_s: float = -np.inf

    def __call__(self, rows: ServedRows, begins_s: float, champion: Bundle) -> Floats:
        """(n,) log-odds of the week's rows; each day is scored by what the days before could have taught."""
        return np.concatenate([self._day(rows, begins_s + day * DAY_S, champion) for day in range(7)])

    def _day(self, rows: ServedRows, now_s: float, champion: Bundle) -> Floats:
        matured_s = now_s - rows.label_delay_s
        first, end = rows.times.searchsorted([self.learned_until_s, matured_s], side="right")
        memory = self.state.memory.with_new(_lessons(rows, int(first), int(end)), matured_s=matured_s)
        self.state = go_on(replace(self.state, memory=memory), champion, now_s=now_s)
        self.learned_until_s = matured_s
        first, end = rows.times.searchsorted([now_s, now_s + DAY_S])
        return self.state.editions[-1].log_odds(champion, rows.X[first:end])


def incremental_line(spec: FeatureSpec) -> IncrementalLine:
    """A line that has learned nothing yet."""
    return IncrementalLine(fresh_state(spec, "explicit"))


def _lessons(rows: ServedRows, first: int, end: int) -> Lessons:
    """The truth about these rows of the stream, as it becomes known."""
    place = np.arange(first, end)
    unknown = np.full(end - first, np.nan)
    return Lessons(
        ids=place,
        X=rows.X[first:end],
        texts={},
        y=rows.y[first:end],
        times=rows.times[first:end],
        scored_s=rows.times[first:end],
        amount=unknown if rows.amount is None else rows.amount[first:end],
        served=unknown,
        weight=np.ones(end - first),
        lot=np.random.default_rng([SEED, first]).random(end - first),
        score=unknown,
    )
