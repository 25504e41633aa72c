"""What is said loudly about a model, and what is not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ml.decisions import Thresholds
from ml.evaluation.bootstrap import Interval
from ml.evaluation.cost import CostModel, gains, outcome
from ml.training.doubts import Doubts, find_doubts

RNG = np.random.default_rng(3)
ROWS = 2000
GAINS = Interval(20.0, 5.0, 30.0, 0.9)
Y = (np.arange(ROWS) % 40 == 0).astype(float)


def doubt(
    X: np.ndarray,
    *,
    value: float = 120.0,
    gain: Interval = GAINS,
    expected: float = 0.025,
    categories: dict[int, int] | None = None,
) -> Doubts:
    """The doubts about a model that is worth `value` where accepting everything is worth 100."""
    half = np.arange(ROWS)
    dataset = SimpleNamespace(
        X=X,
        y=Y,
        categories=categories or {},
        spec=SimpleNamespace(columns=tuple(f"x{place}" for place in range(X.shape[1]))),
        split=SimpleNamespace(train=half[: ROWS // 2], test=half[ROWS // 2 :]),
    )
    judgement = SimpleNamespace(
        outcome=SimpleNamespace(value=value, approve_all=100.0, n=ROWS // 2, share_of_perfect=(value - 100) / 200),
        money_gain=gain,
        mean_probability=expected,
        base_rate=0.025,
    )
    return find_doubts(dataset, judgement)  # type: ignore[arg-type]


def test_an_honest_model_is_not_doubted() -> None:
    X = RNG.normal(size=(ROWS, 2)) + Y[:, None]

    assert doubt(X) == Doubts((), loses_money=False)


@pytest.mark.parametrize(
    ("value", "gain", "word", "held"),
    [
        (40.0, Interval(-60.0, -90.0, -30.0, 0.9), "beyond chance", True),
        (40.0, Interval(-60.0, -90.0, 10.0, 0.9), "by chance", False),
        (90.0, Interval(-10.0, -20.0, -5.0, 0.9), "a little", False),
    ],
)
def test_a_model_that_loses_money_is_told_and_held_back_when_it_is_no_chance(
    value: float, gain: Interval, word: str, held: bool
) -> None:
    found = doubt(RNG.normal(size=(ROWS, 1)), value=value, gain=gain)

    assert found.loses_money is held
    assert "LOSES MONEY" in found.warnings[0]
    assert word in found.warnings[0]


def test_a_level_that_is_far_off_is_told() -> None:
    (warning,) = doubt(RNG.normal(size=(ROWS, 1)), expected=0.2).warnings

    assert "expects 20.00% fraud where the test window has 2.50%; are the labels" in warning


@pytest.mark.parametrize("kind", ["number", "falling number", "there only for fraud", "category"])
def test_a_column_that_is_the_label_in_disguise_is_named(kind: str) -> None:
    leak = {
        "number": 5 * Y + RNG.random(ROWS),
        "falling number": -5 * Y + RNG.random(ROWS),
        "there only for fraud": np.where(Y > 0, RNG.random(ROWS), np.nan),
        "category": np.where(Y > 0, 3.0, RNG.integers(0, 3, ROWS)),
    }[kind]
    X = np.column_stack([RNG.normal(size=ROWS), leak])

    (warning,) = doubt(X, categories={1: 4} if kind == "category" else None).warnings

    assert "the column 'x1' alone" in warning
    assert "model = false" in warning


def test_gains_are_what_the_outcome_says_over_accepting_everything() -> None:
    probability, amount, costs = RNG.random(ROWS), RNG.lognormal(3, 1, ROWS), CostModel()
    thresholds = Thresholds(0.6, 0.9)

    found = outcome(Y, probability, amount, thresholds, costs)

    assert gains(Y, probability, amount, thresholds, costs).sum() == pytest.approx(found.value - found.approve_all)
