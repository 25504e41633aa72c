"""The decisions of one day, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from config.contracts import LabelPolicy
from ml.extremes import bounded
from ml.quality.cells import JudgedDecision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml.features.compiled import Floats, Integers


@dataclass(frozen=True, slots=True)
class Cases:
    """One row per decision, all arrays (n,).

    `declined`, `alerted`: what the score called for, so a decline that was let through is still one. `weight`: how
    many decisions the row stands for when labels are counted; 0 where the decline hid the truth and another row was
    let through to stand for it, and where silence says nothing. `account`: codes 0.., a row without an account has one
    of its own. `amount`: bounded, NaN where there is none. `listed` (n,) bool: a list decided, not the score.
    """

    event_time_s: Floats
    score: Floats
    alerted: Floats
    declined: Floats
    explored: Floats
    amount: Floats
    weight: Floats
    labelled: Floats
    fraud: Floats
    account: Integers
    account_names: tuple[str | None, ...]
    model_versions: NDArray[np.object_]
    segments: NDArray[np.object_]
    listed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.score)

    def where(self, rows: NDArray[np.bool_]) -> Cases:
        """The rows that a mask (n,) selects."""
        kept = {name: getattr(self, name)[rows] for name in self.__slots__ if name != "account_names"}
        return Cases(**kept, account_names=self.account_names)


def make_cases(decisions: Sequence[JudgedDecision], policy: LabelPolicy = "chargebacks") -> Cases:
    """The arrays of at least one decision. Under `explicit` one without a label counts 0 times where labels count."""
    actions = np.array([decision.action for decision in decisions], dtype=object)
    propensity = np.array([decision.propensity for decision in decisions])
    explored = (actions == "approve") & (propensity < 1)
    hidden = (actions == "decline") & (propensity < 1)
    labels = np.array([np.nan if d.is_fraud is None else float(d.is_fraud) for d in decisions])
    labelled = np.isfinite(labels)
    counts = np.where(explored, 1.0 / propensity, np.where(hidden, 0.0, 1.0))
    codes, account_names = _account_codes([decision.account for decision in decisions])
    return Cases(
        event_time_s=np.array([decision.event_time_s for decision in decisions]),
        score=np.array([decision.probability for decision in decisions]),
        alerted=((actions != "approve") | explored).astype(np.float64),
        declined=((actions == "decline") | explored).astype(np.float64),
        explored=explored.astype(np.float64),
        amount=_amounts(decisions),
        weight=counts if policy == "chargebacks" else counts * labelled,
        labelled=labelled.astype(np.float64),
        fraud=np.nan_to_num(labels),
        account=codes,
        account_names=account_names,
        model_versions=np.array([decision.model_version for decision in decisions], dtype=object),
        segments=np.array([decision.segment or "" for decision in decisions], dtype=object),
        listed=np.array([decision.is_listed for decision in decisions], dtype=bool),
    )


def _account_codes(names: Sequence[str | None]) -> tuple[Integers, tuple[str | None, ...]]:
    """Codes by first appearance; who has no name is alone. Names by code."""
    codes: dict[object, int] = {}
    keys = [("", number) if name is None else name for number, name in enumerate(names)]
    array = np.array([codes.setdefault(key, len(codes)) for key in keys], dtype=np.int64)
    return array, tuple(None if isinstance(key, tuple) else str(key) for key in codes)


def _amounts(decisions: Sequence[JudgedDecision]) -> Floats:
    sent = np.array([decision.amount for decision in decisions], dtype=np.float64)  # None becomes NaN
    return bounded(sent)
