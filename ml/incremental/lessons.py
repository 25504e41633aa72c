"""What there is to learn from: transactions whose truth became known, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import Self

import numpy as np
from numpy.typing import NDArray

from config.contracts import LabelPolicy
from ml.features.compiled import Floats, Integers
from ml.features.spec import FeatureSpec
from ml.ledger.settled import Horizon, SettlingRow
from ml.training.served import Texts, as_shown


@dataclass(frozen=True, slots=True)
class Lessons:
    """All arrays have one entry per transaction, in the order in which their truth became known.

    `ids`: row numbers in the ledger. `X`: (n, p) as served, `texts`: category field -> (n,) what was sent. `y`: 0 or 1.
    `times`, `scored_s`: event time and time of the decision, Unix seconds. `amount`: NaN where missing. `served`: the
    probability that was answered. `weight`: how many transactions each stands for. `lot`: drawn once per decision,
    uniform in [0, 1): what thinning goes by. `score`: log-odds of the model as it was when the decision was made, NaN
    where there was none.
    """

    ids: Integers
    X: Floats
    texts: Mapping[str, Texts]
    y: Floats
    times: Floats
    scored_s: Floats
    amount: Floats
    served: Floats
    weight: Floats
    lot: Floats
    score: Floats

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Integers | NDArray[np.bool_]) -> Self:
        """These rows, in that order."""
        arrays = {one.name: getattr(self, one.name)[rows] for one in fields(self) if one.name != "texts"}
        return replace(self, **arrays, texts={name: texts[rows] for name, texts in self.texts.items()})

    def join(self, later: Lessons) -> Self:
        """These, then the others."""
        pairs = {one.name: (getattr(self, one.name), getattr(later, one.name)) for one in fields(self)}
        arrays = {name: np.concatenate(pair) for name, pair in pairs.items() if name != "texts"}
        return replace(
            self, **arrays, texts={name: np.concatenate([self.texts[name], later.texts[name]]) for name in self.texts}
        )

    def shown(self, spec: FeatureSpec, vocabularies: Mapping[str, Mapping[str, int]]) -> Floats:
        """(n, p): X as a model with these vocabularies would have been shown it."""
        return as_shown(self.X, self.texts, spec, vocabularies)


def lessons_between(
    rows: Sequence[SettlingRow], last: Horizon, now: Horizon, *, spec: FeatureSpec, policy: LabelPolicy
) -> Lessons:
    """The transactions whose truth became known, or turned out to be another one, between two looks at the ledger.

    A fraud is known with its label, a genuine one once it has matured (an investigator's verdict is an early one on a
    selected payment, so it waits as well). Each verdict is one lesson, however often it is delivered.
    """
    learned = [(row, truth) for row in rows if (truth := _new_truth(row, last, now, policy)) is not None]
    width = 8 * len(spec.columns)
    return _as_lessons([(row, truth) for row, truth in learned if len(row.features) == width], spec)


def truth_at(row: SettlingRow, horizon: Horizon, policy: LabelPolicy) -> bool | None:
    """Whether it was fraud, by what was known at the horizon; None while nothing tells.

    Without a label a matured decision is genuine under the policy `chargebacks`, unless it was declined: nothing proves
    that. A decline that exploration held back is never learned from; those that it let through stand for it.
    """
    held_back = row.propensity < 1 and row.action == "decline"
    if held_back or not row.is_seen_at(horizon):
        return None
    label = row.label_at(horizon)
    if label or not row.is_matured_at(horizon):
        return label or None
    silence = False if policy == "chargebacks" and row.action != "decline" else None
    return silence if label is None else label


def no_lessons(spec: FeatureSpec) -> Lessons:
    """Nothing yet."""
    return _as_lessons([], spec)


def _new_truth(row: SettlingRow, last: Horizon, now: Horizon, policy: LabelPolicy) -> bool | None:
    truth = truth_at(row, now, policy)
    return None if truth == truth_at(row, last, policy) else truth


def _as_lessons(learned: Sequence[tuple[SettlingRow, bool]], spec: FeatureSpec) -> Lessons:
    rows = [row for row, _ in learned]
    places = {one.name: place for place, one in enumerate(spec.schema.fields)}
    return Lessons(
        ids=np.array([row.id for row in rows], dtype=np.int64),
        X=np.frombuffer(b"".join(row.features for row in rows), "<f8").reshape(-1, len(spec.columns)),
        texts={name: _texts(row.sent_values[places[name]] for row in rows) for name in spec.categories},
        y=_floats(truth for _, truth in learned),
        times=_floats(row.event_time_s for row in rows),
        scored_s=_floats(row.scored_at.timestamp() for row in rows),
        amount=_floats(np.nan if row.amount is None else row.amount for row in rows),
        served=_floats(row.fraud_probability for row in rows),
        weight=_floats(1 / row.propensity if row.propensity < 1 else 1.0 for row in rows),
        lot=_floats(_lot(row.decision_id) for row in rows),
        score=np.full(len(rows), np.nan),
    )


def _lot(decision_id: str) -> float:
    """The same for the same decision, always."""
    return int.from_bytes(blake2b(decision_id.encode(), digest_size=6).digest(), "big") / 2**48


def _texts(values: Iterable[object]) -> Texts:
    listed = list(values)
    texts = np.empty(len(listed), dtype=object)
    texts[:] = listed
    return texts


def _floats(values: Iterable[float]) -> Floats:
    return np.array(list(values), dtype=np.float64)
