"""Card precision under weights equals the plain one, and a card drawn twice counts twice."""

from __future__ import annotations

import numpy as np
import pytest

from ml.evaluation.card_ranking import RankedCards
from ml.evaluation.ranking import card_precision_at_k, precision_at_k


@pytest.mark.parametrize("seed", range(4))
def test_without_weights_it_is_card_precision_at_k(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 600
    y = (rng.random(n) < 0.1).astype(float)
    score = np.round(rng.normal(size=n) + y, 1)
    days, cards = rng.integers(0, 4, n), rng.integers(0, 80, n)
    known = frozenset({3, 7})

    plain = card_precision_at_k(y, score, days, cards, 10, known)
    ranked = RankedCards(y, score, days, cards, k=10, known=known)

    assert ranked.precision() == pytest.approx(plain.mean)
    assert ranked.precision(np.ones(n)) == pytest.approx(plain.mean)


def test_rows_without_a_card_give_precision_at_k() -> None:
    rng = np.random.default_rng(9)
    y = (rng.random(300) < 0.2).astype(float)
    score, days = rng.normal(size=300) + y, rng.integers(0, 3, 300)

    ranked = RankedCards(y, score, days, np.full(300, -1), k=20)

    assert ranked.precision() == pytest.approx(precision_at_k(y, score, days, 20))


def test_a_card_drawn_twice_takes_two_alerts_and_one_not_drawn_takes_none() -> None:
    y, score = np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.8, 0.7])
    ranked = RankedCards(y, score, np.zeros(3, dtype=np.int64), np.array([0, 1, 2]), k=2)

    assert ranked.precision() == 0.5
    assert ranked.precision(np.array([2.0, 1.0, 1.0])) == 1.0
    assert ranked.precision(np.array([0.0, 1.0, 1.0])) == 0.5
    assert ranked.precision(np.array([1.0, 0.0, 1.0])) == 1.0
