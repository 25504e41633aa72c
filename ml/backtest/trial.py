"""What is tried on past decisions: thresholds, a policy file's lists, another model's scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml.backtest.report import ACTIONS
from ml.bundle import Bundle
from ml.features.compiled import Floats, Integers
from ml.ledger.judged import PastDecision
from ml.policy import Policy, apply_lists
from ml.thresholds import Thresholds

OTHER_SCHEMA: Final = "made under another schema"
NO_FEATURES: Final = "other features than the model wants"
LEARNED: Final = "the model has learned from that time"
_LISTED: Final = {action: number for number, action in enumerate(ACTIONS)}


@dataclass(frozen=True, slots=True)
class Trial:
    """What would have decided. `policy`: whose lists win over the score, None: what was listed stays as it was.

    `schema_digest`: of the policy. `bundle`: what scores, from the features as served; None: the scores as they were.
    """

    name: str
    thresholds: Thresholds
    policy: Policy | None = None
    schema_digest: str = ""
    bundle: Bundle | None = None

    def scores(self, page: Sequence[PastDecision], left_out: Counter[str]) -> Floats:
        """(n,) scores; NaN for what the model cannot be asked about, counted in `left_out` by reason."""
        scores = np.array([one.judged.probability for one in page])
        if self.bundle is None:
            return scores
        reasons = [_reason(one, self.bundle) for one in page]
        left_out.update(reason for reason in reasons if reason)
        scores[[reason is not None for reason in reasons]] = np.nan
        again = [n for n, one in enumerate(page) if reasons[n] is None and one.model_digest != self.bundle.digest]
        if again:
            scores[again] = self.bundle.score(_matrix([page[n] for n in again], self.bundle))
        return scores

    def actions(self, page: Sequence[PastDecision], scores: Floats) -> Integers:
        """(n,) numbers of `ACTIONS`; -1 where what was decided stays."""
        found = (scores >= self.thresholds.review).astype(np.int64) + (scores >= self.thresholds.decline)
        for number, one in enumerate(page):
            listed = self._listed(one)
            if listed is not None:
                found[number] = listed
        return found

    def _listed(self, one: PastDecision) -> int | None:
        if self.policy is None or one.schema_digest != self.schema_digest:
            return -1 if one.judged.is_listed else None
        listed = apply_lists(one.values, self.policy)
        return None if listed is None else _LISTED[listed.action]


def _reason(one: PastDecision, bundle: Bundle) -> str | None:
    """Why a model cannot be asked about a decision. What it learned from would flatter it."""
    if one.schema_digest != bundle.schema.digest:
        return OTHER_SCHEMA
    if len(one.features) != 8 * len(bundle.spec.columns):
        return NO_FEATURES
    until_s = bundle.metadata.get("trained_until_s")
    return LEARNED if until_s is not None and one.judged.event_time_s <= until_s else None


def _matrix(page: Sequence[PastDecision], bundle: Bundle) -> Floats:
    """(n, p) features as served, categories in the codes of this model."""
    spec, vocabularies = bundle.spec, bundle.featurizer.vocabularies
    X = np.frombuffer(b"".join(one.features for one in page), "<f8").reshape(len(page), -1).copy()
    places = {field.name: place for place, field in enumerate(spec.schema.fields)}
    for name in spec.categories:
        code = vocabularies[name].get
        X[:, spec.columns.index(name)] = [code(one.values[places[name]], np.nan) for one in page]
    X[np.isinf(X)] = np.nan
    return X
