"""The test window, looked at once: figures with intervals, and whether the model may serve at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from config.errors import ModelRefused
from ml.calibration import Sigmoid
from ml.decisions import Thresholds
from ml.evaluation.bootstrap import Interval, bootstrap_intervals, standing_for
from ml.evaluation.calibration_curve import CalibrationCurve, brier, calibration_curve, log_loss
from ml.evaluation.cost import CostModel, Outcome, gains, outcome
from ml.evaluation.ranking import CardPrecision, Ranked, RankingCurve, card_precision_at_k, precision_at_k
from ml.features.compiled import Floats, Integers
from ml.training.dataset import Dataset

ROUNDS: Final = 200
TOP_K: Final = 100
CLEAR_LOSS: Final = 0.05
"""Average precision below the linear baseline's by more than this refuses a model, whatever the interval
says.
"""
MATTERS: Final = 0.05
"""Share of the baseline's average precision below which losing it is certain perhaps, but of no consequence."""
CHANCE: Final = 0.55
"""A ROC AUC below this, with an interval that reaches 0.5, is no better than guessing."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Figures on the test window. `gain`: average precision over the linear baseline's, on the same draws
    (90%); `money_gain`: worth at the thresholds over accepting every payment (90%).
    """

    roc_auc: Interval
    average_precision: Interval
    linear_roc_auc: float
    linear_average_precision: float
    gain: Interval
    money_gain: Interval
    k: int
    precision_at_k: float
    card_precision_at_k: CardPrecision | None
    without_history: dict[str, float] | None
    brier: float
    log_loss: float
    base_rate: float
    mean_probability: float
    curve: CalibrationCurve
    ranking: RankingCurve | None
    outcome: Outcome


def judge(
    dataset: Dataset,
    *,
    raw: Floats,
    linear: Floats,
    calibrator: Sigmoid,
    thresholds: Thresholds,
    costs: CostModel,
    without_history: Floats | None,
    seed: int,
) -> Judgement:
    """`raw`, `linear`: scores of the test window; `without_history`: raw scores when no entity is named."""
    test = dataset.split.test
    y, cards = dataset.y[test], None if dataset.cards is None else dataset.cards[test]
    probability = calibrator(raw)
    ours, theirs = Ranked(y, raw), Ranked(y, linear)
    rng = np.random.default_rng(seed)
    each = dataset.weights(test)
    measures = {
        "roc_auc": standing_for(ours.roc_auc, each),
        "average_precision": standing_for(ours.average_precision, each),
    }
    intervals = bootstrap_intervals(measures, len(y), groups=cards, rng=rng, rounds=ROUNDS)
    amount = costs.amounts(None if dataset.amount is None else dataset.amount[test], len(y))
    gained = gains(y, probability, amount, thresholds, costs)
    compared = {
        "gain": standing_for(lambda weight: ours.average_precision(weight) - theirs.average_precision(weight), each),
        "money": standing_for(lambda weight: float(weight @ gained), each),
    }
    gain = bootstrap_intervals(compared, len(y), groups=cards, rng=rng, rounds=ROUNDS, level=0.9)
    days = dataset.days[test]
    k = min(TOP_K, max(1, len(y) // (10 * len(np.unique(days)))))
    return Judgement(
        roc_auc=intervals["roc_auc"],
        average_precision=intervals["average_precision"],
        linear_roc_auc=theirs.roc_auc(each),
        linear_average_precision=theirs.average_precision(each),
        gain=gain["gain"],
        money_gain=gain["money"],
        k=k,
        precision_at_k=precision_at_k(y, raw, days, k),
        card_precision_at_k=None if cards is None else _card_precision(dataset, y, raw, days, cards, k),
        without_history=None if without_history is None else _ranking(y, without_history),
        brier=brier(y, probability),
        log_loss=log_loss(y, probability),
        base_rate=float(y.mean()),
        mean_probability=float(probability.mean()),
        curve=calibration_curve(y, probability),
        ranking=ours.curve(),
        outcome=outcome(y, probability, amount, thresholds, costs),
    )


def falls_behind(judgement: Judgement) -> bool:
    """Whether the model ranks worse than the linear baseline beyond chance: the whole 90% interval of the gain in
    average precision is below 0, or the gain is below -`CLEAR_LOSS`.
    """
    return judgement.gain.high < 0 or judgement.gain.value < -CLEAR_LOSS


def require_servable(judgement: Judgement) -> None:
    """Raises ModelRefused when the model is no better than guessing, or loses to the linear baseline.

    It loses when it falls behind by more than `MATTERS` of the baseline's average precision and `falls_behind`.
    """
    auc, gain = judgement.roc_auc, judgement.gain
    if auc.value < CHANCE and not auc.low > 0.5:
        raise ModelRefused(
            f"the model is no better than guessing: ROC AUC {auc.value:.3f} "
            f"({auc.low:.3f} to {auc.high:.3f}) on the test window"
        )
    if falls_behind(judgement) and gain.value < -MATTERS * judgement.linear_average_precision:
        raise ModelRefused(
            f"the model loses to the linear baseline on the test window: average precision "
            f"{judgement.average_precision.value:.4f} against {judgement.linear_average_precision:.4f}, "
            f"a difference of {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f} at 90%)"
        )


def _ranking(y: Floats, score: Floats) -> dict[str, float]:
    ranked = Ranked(y, score)
    return {"roc_auc": ranked.roc_auc(), "average_precision": ranked.average_precision()}


def _card_precision(
    dataset: Dataset, y: Floats, raw: Floats, days: Integers, cards: Integers, k: int
) -> CardPrecision | None:
    """Cards whose fraud in the training window is known do not count: they have been blocked."""
    assert dataset.cards is not None  # noqa: S101  # the caller has looked
    named = cards >= 0
    if not named.any():
        return None
    train = dataset.split.train
    known = frozenset(dataset.cards[train][dataset.y[train] > 0].tolist())
    return card_precision_at_k(y[named], raw[named], days[named], cards[named], k, known)
