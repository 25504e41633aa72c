"""How good the model was when it mattered: each decision scored by the edition of that time, judged when truth came.

Prequential evaluation (Dawid 1984) with delayed labels: score, wait, judge, then learn. Editions are kept instead of
scores, so the score of that time is computed when the truth arrives, and is the same to the last bit. Figures are
exact: sorted scores, no streaming approximation.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np
from scipy.special import expit, logit

from config.errors import BundleRefused
from ml.bundle import Bundle
from ml.calibration import SMALLEST
from ml.evaluation.ranking import Ranked
from ml.features.compiled import Floats
from ml.incremental.edition import Edition
from ml.incremental.lessons import Lessons
from ml.incremental.memory import DAY_S, KEPT_S, Memory

WEEK_S: Final = 7 * DAY_S
_FIRST_MONDAY_S: Final = 4 * DAY_S
"""1970-01-05."""

Bundles = Callable[[Edition], Bundle]
"""The champion that an edition goes with. Raises BundleRefused."""


class Accuracy(msgspec.Struct, frozen=True):
    """Figures over some decisions. `log_loss`: nats."""

    average_precision: float | None
    roc_auc: float | None
    log_loss: float


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """The matured decisions of a week of event time (`week`: its Monday, UTC) that an edition could score.

    `rows`, `frauds`: how many were looked at. `incremental`: by the edition of the time; `served`: by the probability
    that was answered, whichever model made it.
    """

    week: str
    rows: int
    frauds: int
    incremental: Accuracy
    served: Accuracy


def score_as_then(lessons: Lessons, editions: Sequence[Edition], bundles: Bundles) -> Lessons:
    """The same with the log-odds of the edition that was there when each decision was made; NaN before the first.

    `editions`: by `since_s`, ascending.
    """
    score = np.full(len(lessons), np.nan)
    since = [edition.since_s for edition in editions]
    number = np.array([bisect_right(since, at_s) - 1 for at_s in lessons.scored_s.tolist()], dtype=np.int64)
    for one in np.unique(number[number >= 0]):
        rows = np.flatnonzero(number == one)
        edition = editions[int(one)]
        try:
            bundle = bundles(edition)
        except BundleRefused:
            continue  # gone from the store: what cannot be scored again is learned from and not judged
        X = lessons.take(rows).shown(bundle.spec, bundle.featurizer.vocabularies)
        score[rows] = edition.log_odds(bundle, X)
    return replace(lessons, score=score)


def weekly_record(memory: Memory, before: Mapping[str, Week]) -> dict[str, Week]:
    """The record by week: new figures for the weeks that the memory still holds whole, the old ones for the others."""
    lessons, weight = memory.matured()
    scored = np.isfinite(lessons.score)
    monday_s = (lessons.times - _FIRST_MONDAY_S) // WEEK_S * WEEK_S + _FIRST_MONDAY_S
    record = dict(before)
    for start_s in np.unique(monday_s[scored & (monday_s > memory.matured_s - KEPT_S)]):
        rows = np.flatnonzero(scored & (monday_s == start_s))
        week = _week(float(start_s), lessons.take(rows), weight[rows])
        record[week.week] = week
    return record


def accuracy(y: Floats, log_odds: Floats, weight: Floats) -> Accuracy:
    """Exact figures, (n,) each; the ranks are None where only one class is there."""
    ranked = Ranked(y, log_odds)
    has_both = 0 < y.sum() < len(y)
    p = np.clip(expit(log_odds), SMALLEST, 1 - SMALLEST)
    losses = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    return Accuracy(
        average_precision=ranked.average_precision(weight) if has_both else None,
        roc_auc=ranked.roc_auc(weight) if has_both else None,
        log_loss=float(np.average(losses, weights=weight)),
    )


def _week(start_s: float, lessons: Lessons, weight: Floats) -> Week:
    served = logit(np.clip(lessons.served, SMALLEST, 1 - SMALLEST))
    return Week(
        week=datetime.fromtimestamp(start_s, UTC).date().isoformat(),
        rows=len(lessons),
        frauds=int(lessons.y.sum()),
        incremental=accuracy(lessons.y, lessons.score, weight),
        served=accuracy(lessons.y, served, weight),
    )
