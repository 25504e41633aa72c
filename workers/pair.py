"""Champion and challenger on the same batch: one decides each transaction, the other's score goes into its record.

The features are assembled once, the challenger scores them before the commit: its score shares the journal entry, and
so the disk write, of the decision (ADR 0021 has what that costs). Whatever happens to the challenger, the champion
decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from time import perf_counter
from typing import TypeVar

import numpy as np
import structlog

from config.contracts import ChallengerPointer, ShadowScore
from ml.features.compiled import Floats
from ml.features.online import Assembled
from workers import metrics
from workers.pair_counts import PairTally, count_pair
from workers.row_by_row import Stage, finish_observed, untimed
from workers.scorer import BatchScorer, Scored
from workers.store import CANARY, Finished, Observed

log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class PairScorer:
    """Scores as `BatchScorer` does, with both models. `pointer`: who decides what."""

    def __init__(
        self, champion: BatchScorer, challenger: BatchScorer, pointer: ChallengerPointer, tally: PairTally
    ) -> None:
        self.spec = champion.spec
        self._champion = champion
        self._challenger = challenger
        self._share = pointer.share if pointer.role == "canary" else 0.0
        self._tally = tally
        self._has_same_codes = champion.bundle.featurizer.vocabularies == challenger.bundle.featurizer.vocabularies

    def finish(self, observed: Sequence[Observed], *, stage: Stage = untimed) -> list[Finished]:
        """One `Finished` per row, in order. Rows that need no score pass through with what `observe` said."""
        return finish_observed(observed, self._score_together, stage)

    def _score_together(self, items: Sequence[Observed], stage: Stage) -> list[Finished]:
        with stage("features"):
            assembled = self._champion.assemble(items)
        with stage("predict"):
            started = perf_counter()
            ours = self._champion.bundle.score(assembled.X)
            took_s = perf_counter() - started
        with stage("shadow"):
            X, theirs, their_s = self._challenged(items, assembled)
            is_taken = [theirs is not None and self._is_taken(item) for item in items]
            self._count(items, ours, theirs, (took_s, their_s), sum(is_taken))
        with stage("decide"):
            alone = Scored(items, assembled.X, assembled.derived, ours.tolist())
            return (
                self._champion.decide(alone) if theirs is None else self._decided(alone, X, theirs.tolist(), is_taken)
            )

    def _challenged(self, items: Sequence[Observed], assembled: Assembled) -> tuple[Floats, Floats | None, float]:
        """X as the challenger knows it, its probabilities (None: it failed), and the seconds that it took."""
        started = perf_counter()
        try:
            X = self._shown(items, assembled.X)
            probabilities = self._challenger.bundle.score(X)
        except Exception:
            # Fails open: the champion decides, the guard counts.
            metrics.CHALLENGERS_FAILED.inc()
            log.exception("challenger_failed", rows=len(items), model_version=self._challenger.bundle.model_version)
            return assembled.X, None, perf_counter() - started
        return X, probabilities if np.isfinite(probabilities).all() else None, perf_counter() - started

    def _shown(self, items: Sequence[Observed], X: Floats) -> Floats:
        if self._has_same_codes:
            return X
        return self._challenger.bundle.featurizer.recode(X, [item.row.values for item in items])

    def _decided(self, ours: Scored, X: Floats, theirs: Sequence[float], is_taken: Sequence[bool]) -> list[Finished]:
        kept, taken = np.flatnonzero(~np.array(is_taken)), np.flatnonzero(is_taken)
        by_champion = _select(ours, kept, ours.X, ours.probabilities, _shadows(self._challenger, theirs))
        by_challenger = _select(ours, taken, X, theirs, _shadows(self._champion, ours.probabilities))
        champions, challengers = iter(self._champion.decide(by_champion)), iter(self._challenger.decide(by_challenger))
        return [next(challengers if mine else champions) for mine in is_taken]

    def _is_taken(self, item: Observed) -> bool:
        """By a hash of the account, else of the id: the same answer for the same one, in every worker."""
        if not self._share or item.status == CANARY:
            return False
        entity = self.spec.entities[0].key(item.row.values) if self.spec.entities else None
        return in_share(entity or item.row.transaction_id, self._share, salt=self._challenger.bundle.digest)

    def _count(
        self,
        items: Sequence[Observed],
        ours: Floats,
        theirs: Floats | None,
        took_s: tuple[float, float],
        taken: int,
    ) -> None:
        is_real = np.array([item.status != CANARY for item in items])
        if not is_real.any():
            return
        champion, challenger = self._champion, self._challenger
        counts = count_pair(
            ours[is_real],
            None if theirs is None else theirs[is_real],
            reviews=(champion.thresholds.review, challenger.thresholds.review),
            took_s=took_s,
            taken=taken,
        )
        self._tally.add(champion.bundle.digest, challenger.bundle.digest, counts)


def in_share(key: str, share: float, *, salt: str) -> bool:
    """Whether a key belongs to the `share` (0..1) of all keys that this salt picks.

    >>> sum(in_share(f"account-{n}", 0.05, salt="m2") for n in range(10_000))
    499
    """
    person = salt.encode()[:16]
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, salt=person).digest()
    return int.from_bytes(digest, "big") / 2**64 < share


def _shadows(scorer: BatchScorer, probabilities: Iterable[float]) -> list[ShadowScore]:
    version, digest = scorer.bundle.model_version, scorer.bundle.digest
    return [ShadowScore(version, digest, probability) for probability in probabilities]


def _select(
    whole: Scored, rows: np.ndarray, X: Floats, probabilities: Sequence[float], shadows: Sequence[ShadowScore]
) -> Scored:
    """Those rows of a batch, with one model's view of them."""

    def pick(values: Sequence[_T]) -> list[_T]:
        return [values[row] for row in rows.tolist()]

    if len(rows) == len(whole.items):
        return Scored(whole.items, X, whole.derived, probabilities, shadows)
    return Scored(pick(whole.items), X[rows], pick(whole.derived), pick(probabilities), pick(shadows))
