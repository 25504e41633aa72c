"""Champion and challenger on the transactions that both scored when they happened: one decided, the other looked on.

Scores that were written down before anybody knew the labels: nothing that came later can have leaked into them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ml.features.compiled import Floats, Integers
from ml.ledger import Ledger
from ml.training.served import ServedRows


@dataclass(frozen=True, slots=True)
class ShadowScores:
    """What each model said of transactions that the other decided, by transaction id; and their digests."""

    champion_digest: str
    challenger_digest: str
    champion: Mapping[str, float]
    challenger: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PairedRows:
    """`rows`: (m,) indices into the served rows, in time order; both models' probabilities there, (m,) each."""

    rows: Integers
    champion: Floats
    challenger: Floats


def read_shadow_scores(ledger: Ledger, *, champion_digest: str, challenger_digest: str) -> ShadowScores:
    """Every score that the two have of each other's decisions. Raises LedgerUnavailable."""
    return ShadowScores(
        champion_digest,
        challenger_digest,
        ledger.shadow_scores(champion_digest),
        ledger.shadow_scores(challenger_digest),
    )


def paired_rows(served: ServedRows, scores: ShadowScores, *, min_frauds: int) -> PairedRows | None:
    """The matured rows that both models scored at the time; None when fewer than `min_frauds` of them are fraud."""
    champion = _said(served, scores.champion_digest, scores.champion)
    challenger = _said(served, scores.challenger_digest, scores.challenger)
    both = np.flatnonzero(np.isfinite(champion) & np.isfinite(challenger))
    if served.y[both].sum() < min_frauds:
        return None
    rows = both[np.argsort(served.times[both], kind="stable")]
    return PairedRows(rows, champion[rows], challenger[rows])


def _said(served: ServedRows, digest: str, looked_on: Mapping[str, float]) -> Floats:
    """(n,) what a model said of each row, deciding or looking on; NaN where it said nothing."""
    decided = served.decided
    if decided is None:
        raise ValueError("nobody decided about these rows")
    others = np.array([looked_on.get(name, np.nan) for name in decided.transaction_ids], dtype=np.float64)
    said: Floats = np.where(decided.model_digests == digest, decided.probability, others)
    return said
